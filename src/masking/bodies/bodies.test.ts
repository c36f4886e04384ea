import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seed, tally, times } from '../../../test/support/proof.ts'
import type { MaskingRule } from '../../core/index.ts'
import { bodyInPieces } from '../../testing/body-pieces.ts'
import { FORMATS, markedBody, MARKS, records } from '../../testing/marked-bodies.ts'
import type { BodyKind, JsonAssignment } from '../index.ts'

const FULL: MaskingRule = { kind: 'full' }
const LAST: MaskingRule = { kind: 'partial', of: 'last', keep: 4 }

const PATHS: readonly JsonAssignment[] = [
  { path: '**.email', rule: FULL },
  { path: '**.card', rule: LAST },
  { path: '**.nested.token', rule: FULL },
]
const RULES: Readonly<Record<string, MaskingRule>> = { email: FULL, card: LAST }

describe.each(Object.entries(FORMATS))('a body of %s', (name, format) => {
  const { kind } = format
  it('comes out with labelled values masked and nothing else changed, whatever the pieces it came in (P-02)', () => {
    const numRuns = times({ small: 60, full: 20_000 })
    let masked = 0
    fc.assert(
      fc.property(records, fc.integer({ min: 1, max: 60 }), (list, size) => {
        const { sent: source, shown: expected } = markedBody(format, list, RULES)
        const { bytes } = bodyInPieces(Buffer.from(source), kind, { paths: PATHS }, size)
        expect(bytes.toString()).toBe(expected)
        for (const mark of MARKS) expect(bytes.includes(mark)).toBe(false)
        if (source !== expected) masked++
      }),
      { numRuns, seed },
    )
    expect(masked).toBeGreaterThan(numRuns / 3)
    tally(`bodies of ${name} masked`, numRuns)
  })

  it('is passed byte for byte where no path leads', () => {
    fc.assert(
      fc.property(records, fc.integer({ min: 1, max: 60 }), (list, size) => {
        const { sent: source } = markedBody(format, list, RULES)
        const paths = [{ path: 'nowhere.city', rule: FULL }]
        const form: BodyKind = kind.kind === 'csv' ? { ...kind, header: 'present' } : kind
        expect(bodyInPieces(Buffer.from(source), form, { paths }, size).bytes.toString()).toBe(source)
      }),
      { numRuns: times({ small: 25, full: 5_000 }), seed },
    )
  })

  it('is read alike or refused in pieces of every size, whatever is broken in it (P-03)', () => {
    let refused = 0
    const edit = fc.record({
      at: fc.nat(),
      remove: fc.integer({ min: 0, max: 2 }),
      add: fc.constantFrom(
        '"',
        '<',
        '>',
        '&',
        '\\',
        '\n',
        '\r',
        ',',
        '{',
        '}',
        '[',
        ']',
        ':',
        '=',
        '%',
        ';',
        '',
        '\0',
      ),
    })
    fc.assert(
      fc.property(records, fc.array(edit, { minLength: 1, maxLength: 2 }), (list, edits) => {
        const whole = list.map((record) => [...record, { name: 'id', value: 'x', style: 0 }])
        let body = Buffer.from(format.write(whole, (field) => format.value(field, undefined)))
        for (const { at, remove, add } of edits) {
          const where = at % (body.length + 1)
          body = Buffer.concat([body.subarray(0, where), Buffer.from(add), body.subarray(where + remove)])
        }
        let first: Buffer | string = 'refused'
        for (const size of [1, 7, body.length]) {
          let out: Buffer | string = 'refused'
          try {
            out = bodyInPieces(body, kind, { paths: PATHS }, Math.max(1, size)).bytes
          } catch {
            refused++
          }
          if (size === 1) first = out
          else expect(out).toEqual(first)
        }
      }),
      { numRuns: times({ small: 60, full: 20_000 }), seed },
    )
    expect(refused).toBeGreaterThan(0)
  })
})

describe('a value that is too long to be kept', () => {
  const long = 'z'.repeat(200_000)
  it.each([
    ['json', `{"card":"${long}","id":1}`, '{"card":"[masked]","id":1}'],
    ['lines of JSON', `{"card":"${long}","id":1}\n`, '{"card":"[masked]","id":1}\n'],
    ['events', `data: {"card":"${long}","id":1}\n\n`, 'data: {"card":"[masked]","id":1}\n\n'],
    ['csv', `id,card\n1,"${long}"\n2,${long}\n`, 'id,card\n1,"[masked]"\n2,[masked]\n'],
    ['form', `card=${long}&id=1`, 'card=%5Bmasked%5D&id=1'],
    ['xml', `<r><card>${long}</card><id>1</id></r>`, '<r><card>[masked]</card><id>1</id></r>'],
  ])('is hidden whole in a labelled place, and passed in another: %s', (name, body, expected) => {
    const kind = FORMATS[name]?.kind ?? { kind: 'text' }
    for (const size of [1000, 64 * 1024, body.length]) {
      expect(bodyInPieces(Buffer.from(body), kind, { paths: PATHS }, size).bytes.toString()).toBe(expected)
      const clear_ = body.replaceAll('card', 'city')
      const plain = clear_.replace('id,', 'email,')
      expect(
        bodyInPieces(
          Buffer.from(plain),
          kind,
          { paths: [{ path: 'email.x', rule: FULL }] },
          size,
        ).bytes.toString(),
      ).toBe(plain)
    }
  })
})

describe('a body that is not what it says it is', () => {
  const json = '{"email":"ada@example.com"}'
  it.each([
    ['lines of JSON', 'email: ada@example.com'],
    ['events', json],
    ['events', 'email: ada@example.com\n\n'],
    ['events', 'data: {"email":"ada@example.com\ndata: "}\n\n'],
    ['csv', `${json}\n`],
    ['csv', 'email=ada@example.com\n'],
    ['csv', 'id;email,x\n1;ada@example.com,2\n'],
    ['csv', 'email\n"ada"@example.com\n'],
    ['csv', 'email\nada "@" example.com\n'],
    ['csv', 'email\n1\rada@example.com\n'],
    ['csv', 'email\n"ada@example.com'],
    ['form', json],
    ['form', 'ada@example.com'],
    ['form', 'ada'],
    ['form', 'a=1;email=ada'],
    ['xml', json],
    ['xml', 'ada@example.com<a/>'],
    ['xml', '<a/>ada@example.com'],
    ['xml', '<a></a><a></a>'],
    ['xml', '<a><email>ada</a></email>'],
    ['xml', '<!DOCTYPE a [<!ENTITY x "ada">]><a>&x;</a>'],
    ['xml', '<a>&x;</a>'],
    ['xml', '<a b=ada></a>'],
    ['xml', '<a><email>ada'],
    ['xml', '<?xml version="1.0" encoding="utf-16"?><a/>'],
    ['xml', '<?xml version="1.0" encoding="iso-8859-1"?><a/>'],
    ['json', '\ufffe{"email":1}'],
    ['json', Buffer.from(json, 'utf16le').toString('latin1')],
  ])('is not read (P-03): %s in %j', (name, body) => {
    const kind = FORMATS[name]?.kind ?? { kind: 'text' }
    for (const size of [1, 1000]) {
      expect(() => bodyInPieces(Buffer.from(body), kind, { paths: PATHS }, size)).toThrow('withheld')
    }
  })
})

describe('a line, an event and a row', () => {
  it.each(['email', '[].email', 'items[].email', 'result.items[].email', '*.email', '**.email'])(
    'are elements of the list that a path names first: %s',
    (path) => {
      const rules = { paths: [{ path, rule: FULL }] }
      const shown = (name: string, body: string): string =>
        bodyInPieces(Buffer.from(body), FORMATS[name]?.kind ?? { kind: 'text' }, rules, 5).bytes.toString()
      expect(shown('lines of JSON', '{"email":"a","b":"c"}\n')).toBe('{"email":"[masked]","b":"c"}\n')
      expect(shown('events', 'data: {"email":"a","b":"c"}\n\n')).toBe(
        'data: {"email":"[masked]","b":"c"}\n\n',
      )
      expect(shown('csv', 'email,b\na,c\n')).toBe('email,b\n[masked],c\n')
    },
  )
})

describe('XML', () => {
  const mask = (body: string, path: string): string =>
    bodyInPieces(Buffer.from(body), { kind: 'xml' }, { paths: [{ path, rule: FULL }] }, 1).bytes.toString()

  it.each([
    [
      'email',
      '<c><email>a</email><x><email>b</email></x></c>',
      '<c><email>[masked]</email><x><email>b</email></x></c>',
    ],
    ['c.email', '<c><email>a</email></c>', '<c><email>[masked]</email></c>'],
    [
      'items[].email',
      '<items><item><email>a</email></item></items>',
      '<items><item><email>[masked]</email></item></items>',
    ],
    [
      'c.items[].email',
      '<c><items><email>a</email></items></c>',
      '<c><items><email>[masked]</email></items></c>',
    ],
    ['**.email', '<c email="a" id="1"/>', '<c email="[masked]" id="1"/>'],
    [
      '**.email',
      '<n:c xmlns:n="u"><n:email kind="a">b</n:email></n:c>',
      '<n:c xmlns:n="u"><n:email kind="[masked]">[masked]</n:email></n:c>',
    ],
    ['**.email', '<c><email>a<b>c</b>d</email>e</c>', '<c><email></email>e</c>'],
    ['**.email', '<c><email>a<!-- b -->&#99;<![CDATA[<d]]]]></email></c>', '<c><email>[masked]</email></c>'],
    ['**.email', '<c><email/><email></email></c>', '<c><email/><email></email></c>'],
  ])('is masked at %s: %s', (path, body, expected) => {
    expect(mask(body, path)).toBe(expected)
  })
})
