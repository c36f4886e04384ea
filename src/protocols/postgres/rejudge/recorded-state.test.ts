import { describe, expect, it } from 'vitest'
import type { OutcomeHead } from '../../../core/index.ts'
import type { Effect } from '../../../sql/index.ts'
import { RecordedState } from './recorded-state.ts'

const BEGUN = { path: ['public'] }
const OWN = { temporary: true, tainted: false, reads: [], endsWithTransaction: false }
const make = (name: string): Effect => ({ kind: 'make', name, own: OWN })
const QUERY = { SelectStmt: {} }

function ended(tag: string, outcome: OutcomeHead['outcome'] = 'ok'): OutcomeHead {
  return { n: 1, outcome, tag, rows: 0, bytes: 0, unkept: 0, ms: 0 }
}

const made = (state: RecordedState): string[] => [...state.overlay.now.made.keys()]

describe('the state of a recorded session', () => {
  it('has what statements made that have run, and not what others would have', () => {
    const state = new RecordedState()
    state.follow([[make('a')]], ended('CREATE TABLE'))
    state.follow([[make('b')]], ended('42P07', 'error'))
    state.follow([[make('c')]], ended('denied', 'refused'))
    state.follow([[make('d')]], undefined)
    expect(made(state)).toEqual(['a'])
    expect(state.agrees({ ...BEGUN, made: 1 })).toBe(true)
    expect(state.isPlain).toBe(false)
  })

  it('loses with a transaction what was made in it, unless it is committed', () => {
    const state = new RecordedState()
    state.follow([[{ kind: 'begin' }]], ended('BEGIN'))
    state.follow([[make('a')]], ended('CREATE TABLE'))
    state.follow([[{ kind: 'rollback' }]], ended('ROLLBACK'))
    expect(made(state)).toEqual([])
    state.follow([[{ kind: 'begin' }], [make('b')]], ended('BEGIN; CREATE TABLE'))
    state.follow([[{ kind: 'commit' }]], ended('COMMIT'))
    expect(made(state)).toEqual(['b'])
    state.follow([[{ kind: 'begin' }]], ended('BEGIN'))
    state.follow([[make('c')]], ended('CREATE TABLE'))
    state.follow([[]], ended('22012', 'error'))
    // COMMIT of a failed transaction.
    state.follow([[{ kind: 'commit' }]], ended('ROLLBACK'))
    expect(made(state)).toEqual(['b'])
  })

  it('is not known where the recording counts other relations, and known again where it counts none', () => {
    const state = new RecordedState()
    expect(state.agrees({ ...BEGUN, made: 1 })).toBe(false)
    state.follow([[make('a')]], ended('CREATE TABLE'))
    expect(state.agrees({ ...BEGUN, made: 2 })).toBe(false)
    expect(state.agrees(BEGUN)).toBe(true)
    expect(made(state)).toEqual([])
  })

  it('has path, role and what was lost from the recording', () => {
    const state = new RecordedState()
    expect(state.agrees({ ...BEGUN, pathNow: ['other'], roleNow: 'clerk', lost: true })).toBe(true)
    expect(state.overlay.now).toMatchObject({ path: ['other'], role: { name: 'clerk' }, lost: true })
    expect(state.isPlain).toBe(false)
    state.agrees(BEGUN)
    expect(state.overlay.now).toEqual({ made: new Map(), lost: false })
    expect(state.isPlain).toBe(true)
  })

  it('knows what names run until they are given up, cursors with their transaction', () => {
    const state = new RecordedState()
    const facts = (name: string) => {
      const asked: unknown[] = []
      const named = state.named((query) => {
        asked.push(query)
        throw new Error('found')
      })
      for (const find of [named.prepared, named.cursor]) {
        try {
          find(name)
        } catch {
          return true
        }
      }
      return asked.length > 0
    }
    state.follow([[{ kind: 'prepare', name: 'p', query: QUERY }]], ended('PREPARE'))
    state.follow([[{ kind: 'begin' }]], ended('BEGIN'))
    state.follow([[{ kind: 'declare', name: 'c', query: QUERY, hold: false }]], ended('DECLARE CURSOR'))
    state.follow([[{ kind: 'declare', name: 'h', query: QUERY, hold: true }]], ended('DECLARE CURSOR'))
    expect(['p', 'c', 'h', 'x'].map(facts)).toEqual([true, true, true, false])
    state.follow([[{ kind: 'commit' }]], ended('COMMIT'))
    expect(['p', 'c', 'h'].map(facts)).toEqual([true, false, true])
    state.follow([[{ kind: 'deallocate' }, { kind: 'close' }]], ended('DISCARD ALL'))
    expect(['p', 'h'].map(facts)).toEqual([false, false])
  })

  it('takes what was made under other labels for what may hold protected values', () => {
    const state = new RecordedState()
    state.follow([[make('a')]], ended('CREATE TABLE'))
    state.relabelled()
    expect(state.overlay.now.made.get('a')).toMatchObject({ tainted: true })
  })
})
