import { describe, expect, it } from 'vitest'
import { labelFault, readLabelPattern } from './labels.ts'

const settings = {
  routes: [{ method: 'GET', path: '/tickets', class: 'read' }],
  upstream: { url: 'http://api.internal' },
}

describe('a pattern that gives a label', () => {
  it('names a path, or what a detector finds', () => {
    expect(readLabelPattern('/tickets: items[].email')).toEqual({
      kind: 'path',
      route: '/tickets',
      path: 'items[].email',
    })
    expect(readLabelPattern('*: detect private-key')).toEqual({
      kind: 'detector',
      route: '*',
      detector: 'private-key',
    })
    // A path of that name, and not a detector.
    expect(readLabelPattern('*: detect')).toEqual({ kind: 'path', route: '*', path: 'detect' })
    expect(readLabelPattern('tickets')).toBeUndefined()
  })

  it('is wrong when it names no detector, no path or no route', () => {
    expect(labelFault('/tickets: detect email', settings)).toBeUndefined()
    expect(labelFault('/tickets: detect emails', settings)?.fix).toContain('vendor-token')
    expect(labelFault('/ticket: detect email', settings)?.fix).toContain('/tickets')
    expect(labelFault('/tickets: a..b', settings)?.expected).toContain('not a path')
    expect(labelFault('/tickets', settings)?.expected).toContain('a route')
  })
})
