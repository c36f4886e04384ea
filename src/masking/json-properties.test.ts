import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seed, tally, times } from '../../test/support/proof.ts'
import { GatewayError } from '../core/index.ts'
import type { MaskingRule } from '../core/index.ts'
import { cellMasker, jsonMasker, maskedCell, TEXT } from './index.ts'
import type { JsonAssignment } from './index.ts'
import type { Step } from './json-path.ts'
import { anyCharacter } from '../testing/any-character.ts'
import { maskedInPieces } from '../testing/json-pieces.ts'

const FULL: MaskingRule = { kind: 'full' }
const EMAIL: MaskingRule = { kind: 'partial', of: 'email' }
const LAST: MaskingRule = { kind: 'partial', of: 'last', keep: 4 }

/** A value, and the text of it written with blanks and escapes as somebody might. */
const NAMES = ['email', 'card', 'a', 'b', 'items', 'e.mail', '', 'ключ', '__proto__']
const names = fc.oneof(fc.constantFrom(...NAMES), fc.string({ maxLength: 3 }))

type Written = { readonly text: (at: readonly (string | number)[], rewrite: Rewrite) => string }
type Rewrite = (
  at: readonly (string | number)[],
  value: 'string' | 'other' | 'null',
  decoded: string,
) => string | undefined

const blank = fc.constantFrom('', '', '', ' ', '\n\t')

const string = fc.record({
  decoded: fc.string({ unit: anyCharacter, maxLength: 20 }),
  escape: fc.array(fc.boolean(), { maxLength: 24 }),
})

function quoted(decoded: string, escape: readonly boolean[]): string {
  let n = 0
  let text = ''
  for (const unit of decoded.split('')) {
    const code = unit.charCodeAt(0)
    const must = code < 0x20 || unit === '"' || unit === '\\'
    const isSurrogate = code >= 0xd800 && code <= 0xdfff
    // Both halves of a pair, or neither: half a pair as raw bytes is no UTF-8.
    const wants = escape[n++ % Math.max(1, escape.length)] === true && !isSurrogate
    text += must || wants ? `\\u${code.toString(16).padStart(4, '0')}` : unit
  }
  return `"${text}"`
}

const leaf: fc.Arbitrary<Written> = fc.oneof(
  string.map(({ decoded, escape }) => ({
    text: (at: readonly (string | number)[], rewrite: Rewrite) =>
      rewrite(at, 'string', decoded) ?? quoted(decoded, escape),
  })),
  fc.constantFrom('0', '-1.50', '1e400', '12345678901234567890.10', 'true', 'false').map((text) => ({
    text: (at: readonly (string | number)[], rewrite: Rewrite) => rewrite(at, 'other', '') ?? text,
  })),
  fc.constant({
    text: (at: readonly (string | number)[], rewrite: Rewrite) => rewrite(at, 'null', '') ?? 'null',
  }),
)

const { document } = fc.letrec<{ document: Written }>((tie) => ({
  document: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    leaf,
    fc.tuple(blank, fc.array(tie('document'), { maxLength: 4 })).map(([gap, elements]) => ({
      text: (at: readonly (string | number)[], rewrite: Rewrite) =>
        rewrite(at, 'other', '') ??
        `[${gap}${elements.map((each, n) => each.text([...at, n], rewrite)).join(`${gap},`)}${gap}]`,
    })),
    fc
      .tuple(blank, fc.array(fc.tuple(names, fc.array(fc.boolean()), tie('document')), { maxLength: 4 }))
      .map(([gap, members]) => ({
        text: (at: readonly (string | number)[], rewrite: Rewrite) =>
          rewrite(at, 'other', '') ??
          `{${gap}${members
            .map(
              ([name, escape, value]) =>
                `${quoted(name, escape)}${gap}:${value.text([...at, name], rewrite)}`,
            )
            .join(`,${gap}`)}}`,
      })),
  ),
}))

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom(...NAMES).map((name) => ({ kind: 'key' as const, name })),
  fc.constantFrom<Step>({ kind: 'element' }, { kind: 'any' }, { kind: 'deep' }),
)

function written(steps: readonly Step[]): string {
  let text = ''
  for (const each of steps) {
    if (each.kind === 'element') text += '[]'
    else
      text += `${text === '' ? '' : '.'}${each.kind === 'key' ? JSON.stringify(each.name) : each.kind === 'any' ? '*' : '**'}`
  }
  return text
}

/** The meaning of a path, said once more and differently: backwards and by hand. */
function leadsTo(steps: readonly Step[], at: readonly (string | number)[]): boolean {
  const [head, ...rest] = steps
  if (head === undefined) return at.length === 0
  if (head.kind === 'deep' && leadsTo(rest, at)) return true
  const [first, ...behind] = at
  if (first === undefined) return false
  const isElement = typeof first === 'number'
  switch (head.kind) {
    case 'deep':
      return leadsTo(steps, behind)
    case 'element':
      return isElement && leadsTo(rest, behind)
    case 'any':
      return leadsTo(rest, behind) || (isElement && leadsTo(steps, behind))
    case 'key':
      return isElement ? leadsTo(steps, behind) : first === head.name && leadsTo(rest, behind)
  }
}

describe('any document, any paths', () => {
  const assignments = fc.array(
    fc.record({
      steps: fc.array(step, { minLength: 1, maxLength: 4 }),
      rule: fc.constantFrom(FULL, EMAIL, LAST),
    }),
    { minLength: 1, maxLength: 4 },
  )

  it('comes out as the reference says, byte for byte, whatever the pieces it came in (P-02)', () => {
    const numRuns = times({ small: 800, full: 100_000 })
    fc.assert(
      fc.property(document, assignments, fc.integer({ min: 1, max: 40 }), (written_, rules, size) => {
        const original = written_.text([], () => undefined)
        let hidden = 0
        const expected = written_.text([], (at, value, decoded) => {
          const asked = rules.filter((each) => leadsTo(each.steps, at))
          const first = asked[0]
          if (first === undefined) return undefined
          if (value !== 'null') hidden += asked.length
          if (value !== 'string') return 'null'
          const rule = asked.every((each) => each.rule === first.rule)
            ? first.rule
            : { kind: 'null' as const }
          const shown = maskedCell(cellMasker(rule, TEXT, 'text'), Buffer.from(decoded))
          return shown === null ? 'null' : JSON.stringify(Buffer.from(shown).toString())
        })
        const list = rules.map((each) => ({ path: written(each.steps), rule: each.rule }))
        const whole = jsonMasker(list).mask(Buffer.from(original))
        expect(Buffer.from(whole.bytes).toString()).toBe(expected)
        expect(whole.masked.reduce((sum, each) => sum + each.count, 0)).toBe(hidden)
        expect(maskedInPieces(Buffer.from(original), list, size).toString()).toBe(expected)
        expect(() => JSON.parse(expected)).not.toThrow()
      }),
      { numRuns, seed },
    )
    tally('documents masked', numRuns)
  })

  it('is refused exactly when JSON.parse refuses it (P-03)', () => {
    const edit = fc.record({
      at: fc.nat(),
      remove: fc.integer({ min: 0, max: 2 }),
      add: fc.oneof(
        fc.constantFrom(
          '"',
          '\\',
          '{',
          '}',
          '[',
          ']',
          ',',
          ':',
          '0',
          '-',
          '.',
          'e',
          'u',
          ' ',
          '\u0001',
          '\\u',
          'null',
        ),
        fc.uint8Array({ maxLength: 2 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      ),
    })
    let refused = 0
    const numRuns = times({ small: 1500, full: 200_000 })
    fc.assert(
      fc.property(
        document,
        fc.array(edit, { minLength: 1, maxLength: 3 }),
        assignments,
        (written_, edits, rules) => {
          let bytes = Buffer.from(written_.text([], () => undefined))
          for (const { at, remove, add } of edits) {
            const where = at % (bytes.length + 1)
            bytes = Buffer.concat([
              bytes.subarray(0, where),
              Buffer.from(add, 'latin1'),
              bytes.subarray(where + remove),
            ])
          }
          let valid = true
          try {
            // Keeps the byte order mark, as JSON.parse refuses one; that case has a test of its own.
            JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
          } catch {
            valid = false
            refused++
          }
          const list = rules.map((each) => ({ path: written(each.steps), rule: each.rule }))
          const attempt = (): unknown => jsonMasker(list).mask(bytes)
          if (valid) expect(attempt).not.toThrow()
          else expect(attempt).toThrow(GatewayError)
        },
      ),
      { numRuns, seed },
    )
    expect(refused).toBeGreaterThan(numRuns / 10)
    tally('documents changed', numRuns)
  })

  it('never lets a marked value out of a labelled field, in pieces of every size (P-02)', () => {
    const marker = 'MARKER-7f3a9'
    const text = JSON.stringify({
      email: `${marker}-1`,
      list: [
        { email: `${marker}-2`, keep: 'yes' },
        { email: [`${marker}-3`] },
        { email: { deep: `${marker}-4` } },
      ],
      other: { card: `${marker}-5`, n: 1.5 },
    })
      .replace('"email":{', '"em\\u0061il":{')
      .replace('"card":', '"card" :\n')
    const list: JsonAssignment[] = [
      { path: '**.email', rule: EMAIL },
      { path: 'other.card', rule: FULL },
    ]
    for (let size = 1; size <= text.length; size++) {
      const out = maskedInPieces(Buffer.from(text), list, size).toString()
      expect(out).not.toContain('MARKER')
      expect(out).toContain('"keep":"yes"')
    }
  })
})
