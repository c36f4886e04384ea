import { describe, expect, it } from 'vitest'
import { randomFrom } from '../../../../test/support/proof.ts'
import { markersFor } from './fill.ts'
import { Markers } from './markers.ts'

describe('markers', () => {
  const markers = new Markers(randomFrom(7))

  it.each([
    'text',
    'character varying(20)',
    'integer',
    'bigint',
    'numeric(20,2)',
    'double precision',
    'date',
    'timestamp with time zone',
    'uuid',
    'inet',
    'jsonb',
    'xml',
    'text[]',
    'some.domain',
  ])('for %s are found again', (type) => {
    const values = markersFor(type, undefined, markers)
    expect(values.length).toBeGreaterThan(0)
    for (const each of values) expect(markers.find(Buffer.from(each)), each).not.toEqual([])
  })

  it.each(['boolean', 'smallint', 'real'])('have no room in %s', (type) => {
    expect(markersFor(type, undefined, markers)).toEqual([])
  })

  it('are not put where the mask shows so much on purpose that they would be taken for a leak', () => {
    expect(markersFor('date', { kind: 'year' }, markers)).toEqual([])
    expect(markersFor('bigint', { kind: 'bucket' }, markers)).toEqual([])
    expect(markersFor('text', { kind: 'partial', keep: 6 }, markers)).toEqual([])
    expect(markersFor('text', { kind: 'partial', keep: 4 }, markers)).not.toEqual([])
  })
})
