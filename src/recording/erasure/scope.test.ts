import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Entry } from '../../core/index.ts'
import { brand, type LabelName } from '../../core/index.ts'
import { closeEntry, intentEntry, openEntry, outcomeEntry } from '../../testing/entries.ts'
import { type PayloadName, splitEntry } from '../sealed/payloads.ts'
import { type ErasureScope, rangesOf, scopeIn, selectorOf } from './scope.ts'

const label = (name: string): LabelName => brand<LabelName>(name)
const email = { column: 'public.customers.email', label: label('pii.email') }
const data = Buffer.from('x')

const SESSION: readonly Entry[] = [
  openEntry(),
  intentEntry(1, { columns: [email], parameters: ['AA=='] }),
  { kind: 'result', head: { n: 1 }, body: data },
  intentEntry(2),
  { kind: 'notice', head: { n: 1, code: '01000', message: 'x' } },
  outcomeEntry(1, {}, data),
  outcomeEntry(2, {}, data),
  intentEntry(3, {
    reason: 'x',
    sealed: [
      { labels: ['pii.phone'], numbers: [1], data },
      { labels: ['pii.email', 'pii.phone'], numbers: [2], data },
    ],
  }),
  outcomeEntry(3, { sealed: ['pii.phone'] }, data),
  { kind: 'result', head: { n: 0, sealed: ['pii.phone'] }, body: data },
  { kind: 'result', head: { n: 0 }, body: data },
  closeEntry(3),
  intentEntry(4),
  { kind: 'input', head: { n: 4, sealed: ['pii.email'] }, body: data },
  {
    kind: 'input',
    head: { n: 4, sealed: ['pii.email'], end: { how: 'done', bytes: 2, unkept: 1 } },
    body: data,
    digest: data,
  },
  { kind: 'input', head: { n: 3 }, body: data },
]

function chosen(scope: ErasureScope): string[] {
  const select = selectorOf(scope)
  return SESSION.flatMap((entry, i) => {
    const { head, payloads } = splitEntry(entry)
    const sequence = i + 1
    const named = payloads.map(({ name, bytes }) => ({ name, bytes: bytes.length, commitment: data }))
    const part = { kind: entry.kind, sequence, time: 0, head: { ...head }, payloads: named }
    return payloads.filter(({ name }) => select(part, name)).map(({ name }) => `${sequence} ${name}`)
  })
}

test('a label chooses results that may hold it, values sealed under it and notices, and no statement', () => {
  expect(chosen({ labels: ['pii.email'] })).toEqual([
    '3 body',
    '5 message',
    '6 body',
    '8 reason',
    '8 sealed.2',
    '9 body',
    '14 input',
    '15 input',
    '15 digest',
  ])
  expect(chosen({ labels: ['pii.phone'] })).toEqual([
    '8 reason',
    '8 sealed.1',
    '8 sealed.2',
    '9 body',
    '10 body',
  ])
  expect(chosen({ payloads: ['input'] })).toEqual(['14 input', '15 input', '15 digest', '16 input'])
  expect(chosen({ labels: ['pii'] })).toEqual([])
})

test('kinds of payloads and one entry narrow it, and nothing means all', () => {
  expect(chosen({ payloads: ['text', 'parameters'], sequence: 2 })).toEqual(['2 text', '2 parameters'])
  expect(chosen({ payloads: ['sealed'] })).toEqual(['8 sealed.1', '8 sealed.2'])
  expect(chosen({ payloads: ['body'], labels: ['pii.email'] })).toEqual(['3 body', '6 body', '9 body'])
  expect(chosen({}).length).toBe(19)
})

test('a scope comes back as it was written down', () => {
  for (const scope of [{}, { sequence: 7 }, { payloads: ['body'], labels: ['pii.email'] }] as const)
    expect(scopeIn(JSON.parse(JSON.stringify(scope)))).toEqual(scope)
})

test('ranges name each frame that loses a payload, and none that keeps it', () => {
  const names = ['body', 'text', 'sealed.1'] satisfies PayloadName[]
  const place = fc.record({
    payload: fc.constantFrom(...names),
    kept: fc.boolean(),
    step: fc.integer({ min: 1, max: 9 }),
  })
  fc.assert(
    fc.property(fc.array(place, { maxLength: 60 }), (given) => {
      let sequence = 0
      const all = given.map(({ payload, kept, step }) => ({ payload, kept, sequence: (sequence += step) }))
      const told = rangesOf(
        all.filter(({ kept }) => !kept),
        all,
      )
      const isTold = (at: { readonly payload: string; readonly sequence: number }): boolean =>
        told.some(
          ({ payload, frames }) =>
            payload === at.payload &&
            frames.split(',').some((range) => {
              const [first, last = first] = range.split('-').map(Number)
              return (first ?? 0) <= at.sequence && at.sequence <= (last ?? 0)
            }),
        )
      for (const each of all) expect(isTold(each)).toBe(!each.kept)
      expect(told.reduce((sum, { count }) => sum + count, 0)).toBe(all.filter(({ kept }) => !kept).length)
    }),
  )
})

test('ranges are cut into entries that fit into the log', () => {
  const all = Array.from({ length: 20_000 }, (_, i) => ({
    payload: 'body' as const,
    sequence: 1_000_000 + i,
  }))
  const removed = all.filter(({ sequence }) => sequence % 2 === 0)
  const told = rangesOf(removed, all)
  expect(told.length).toBeGreaterThan(5)
  expect(Math.max(...told.map(({ frames }) => frames.length))).toBeLessThan(9_000)
  expect(told.reduce((sum, { count }) => sum + count, 0)).toBe(10_000)
})
