import fc from 'fast-check'
import { expect, test } from 'vitest'
import { COMMAND_CLASSES, type IntentHead, type OutcomeHead } from '../core/index.ts'
import { anyCharacter } from '../testing/any-character.ts'
import { intentJson, outcomeJson } from './heads.ts'

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
  reads: texts,
  writes: texts,
  parameters: fc.array(fc.option(text), { maxLength: 4 }),
  readings: fc.array(text, { maxLength: 4 }),
})

const outcomes: fc.Arbitrary<Required<OutcomeHead>> = fc.record({
  n: fc.nat(),
  outcome: fc.constantFrom('ok', 'error', 'cut', 'refused', 'skipped', 'lost'),
  tag: text,
  rows: fc.nat(),
  bytes: fc.nat(),
  unkept: fc.nat(),
  ms: fc.double(),
})

test('an intent is encoded as JSON.stringify would, with every field', () => {
  fc.assert(
    fc.property(intents, (head) => {
      expect(JSON.parse(intentJson(head))).toEqual(JSON.parse(JSON.stringify(head)))
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
  expect(intentJson(head)).toBe(JSON.stringify(head))
})

test('an outcome is encoded as JSON.stringify would, with every field', () => {
  fc.assert(
    fc.property(outcomes, (head) => {
      expect(JSON.parse(outcomeJson(head))).toEqual(JSON.parse(JSON.stringify(head)))
    }),
  )
})
