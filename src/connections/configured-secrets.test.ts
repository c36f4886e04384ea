import { describe, expect, it } from 'vitest'
import type { SecretRef } from '../core/index.ts'
import { LIMITS, Secret } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { ConfiguredSecrets } from './configured-secrets.ts'

function world(settings: object) {
  const known: Record<string, string> = { A: 'a secret of A', B: 'a secret of B', SHORT: '1234567' }
  const state = { settings, asked: [] as string[], reports: [] as unknown[] }
  const clock = new FakeClock()
  const configured = new ConfiguredSecrets({
    settings: () => state.settings,
    clock,
    report: (error) => state.reports.push(error),
    async resolve(reference: SecretRef) {
      state.asked.push(JSON.stringify(reference))
      if (reference.kind === 'literal') return reference.value
      const value = reference.kind === 'env' ? known[reference.name] : undefined
      if (value === undefined) throw new Error('there is none')
      return new Secret(value)
    },
  })
  return { configured, state, clock, known }
}

const env = (name: string): SecretRef => ({ kind: 'env', name })

describe('the secrets of a configuration', () => {
  it('are found wherever references stand, each once, but for those that would be found everywhere', async () => {
    const { configured, state } = world({
      connections: new Map([
        ['x', { upstream: { credential: { kind: 'header', name: 'X', value: env('A') } } }],
      ]),
      list: [env('B'), env('A'), env('SHORT'), { kind: 'literal', value: new Secret('a literal one') }],
      others: [{ kind: 'env' }, { kind: 'env', name: 'A', more: 1 }, { kind: 'file', name: 'x' }, 'A'],
    })
    expect(await configured.values()).toEqual(['a literal one', 'a secret of A', 'a secret of B'])
    expect(state.asked).toHaveLength(4)
  })

  it('are read anew after a while and for another configuration, and are one list while they are the same', async () => {
    const { configured, state, clock, known } = world({ a: env('A') })
    const first = await configured.values()
    expect(await configured.values()).toBe(first)
    expect(state.asked).toHaveLength(1)
    clock.advance(LIMITS.outwardSecretsKeptMs)
    expect(await configured.values()).toBe(first)
    known['A'] = 'another secret'
    state.settings = { a: env('A') }
    expect(await configured.values()).toEqual(['another secret'])
    expect(state.asked).toHaveLength(3)
  })

  it('that cannot be had are reported, and the others are there all the same', async () => {
    const { configured, state } = world({ a: env('A'), b: env('NONE'), c: new Secret('not a reference') })
    expect(await configured.values()).toEqual(['a secret of A'])
    expect(state.reports).toHaveLength(1)
  })
})
