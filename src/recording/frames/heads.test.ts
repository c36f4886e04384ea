import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  brand,
  COMMAND_CLASSES,
  type Entry,
  type IntentHead,
  type LabelName,
  type OutcomeHead,
} from '../../core/index.ts'
import { anyCharacter } from '../../testing/any-character.ts'
import { anyJson, splitJson } from './heads.ts'

const text = fc.string({ unit: anyCharacter, maxLength: 40 })
const texts = fc.array(text, { maxLength: 4 })

// `Required`: a field that is added to a head does not compile here until it is listed, and then fails until the
// encoder writes it.
const intents: fc.Arbitrary<Required<IntentHead>> = fc.record({
  n: fc.nat(),
  form: text,
  text,
  class: fc.constantFrom(...COMMAND_CLASSES),
  decision: fc.constantFrom('allow', 'hold', 'deny'),
  rules: texts,
  reason: text,
  observed: texts,
  masked: texts,
  columns: fc.array(fc.record({ column: text, label: text.map((each) => brand<LabelName>(each)) }), {
    maxLength: 4,
  }),
  reads: texts,
  writes: texts,
  typed: texts,
  outward: texts,
  parameters: fc.array(fc.option(text), { maxLength: 4 }),
  readings: fc.array(text, { maxLength: 4 }),
  sealed: fc.array(
    fc.record({
      labels: texts,
      numbers: fc.array(fc.nat(), { maxLength: 3 }),
      data: fc.uint8Array({ maxLength: 9 }),
    }),
    { maxLength: 3 },
  ),
  basis: fc.record({
    policy: text,
    configuration: text,
    catalogue: text,
    names: fc.record({ path: texts, role: text, login: text, pathNow: texts, roleNow: text, made: fc.nat() }),
  }),
})

const outcomes: fc.Arbitrary<Required<OutcomeHead>> = fc.record({
  n: fc.nat(),
  outcome: fc.constantFrom('ok', 'error', 'cut', 'refused', 'skipped', 'lost'),
  tag: text,
  rows: fc.nat(),
  bytes: fc.nat(),
  unkept: fc.nat(),
  ms: fc.double(),
  sealed: texts,
})

const bodies = fc.uint8Array({ maxLength: 20 })

/** What is written by hand, and what `JSON.stringify` makes of the same entry. */
function bothOf(entry: Entry): readonly unknown[] {
  return [splitJson(entry), anyJson(entry)].map(({ head, payloads, payloadBytes }) => ({
    head: JSON.parse(head),
    // Where the names are: whoever wants no more than these reads no further.
    first: head.startsWith('{"payloads":[['),
    payloads: payloads.map((each) => Buffer.from(each).toString('latin1')),
    payloadBytes,
  }))
}

test('an intent is encoded as JSON.stringify would, with every field', () => {
  fc.assert(
    fc.property(intents, (head) => {
      const [byHand, plain] = bothOf({ kind: 'intent', head })
      expect(byHand).toEqual(plain)
    }),
  )
})

test('what an intent does not have is left out', () => {
  const head: IntentHead = {
    n: 1,
    form: 'query',
    text: 'SELECT 1',
    class: 'read',
    decision: 'allow',
    rules: [],
  }
  expect(splitJson({ kind: 'intent', head })).toEqual({
    head: '{"payloads":[["text",8]],"n":1,"form":"query","class":"read","decision":"allow","rules":[]}',
    payloads: ['SELECT 1'],
    payloadBytes: 8,
  })
})

test('an outcome is encoded as JSON.stringify would, with every field, and so is a result', () => {
  fc.assert(
    fc.property(outcomes, fc.option(bodies, { nil: undefined }), (head, body) => {
      const [byHand, plain] = bothOf({ kind: 'outcome', head, ...(body === undefined ? {} : { body }) })
      expect(byHand).toEqual(plain)
      const bytes = body ?? Buffer.alloc(0)
      const [result, expected] = bothOf({ kind: 'result', head: { n: head.rows }, body: bytes })
      expect(result).toEqual(expected)
    }),
  )
})
