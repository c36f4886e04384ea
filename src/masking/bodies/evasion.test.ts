import { describe, expect, it } from 'vitest'
import type { MaskingRule } from '../../core/index.ts'
import { LIMITS } from '../../core/index.ts'
import { bodyInPieces } from '../../testing/body-pieces.ts'
import type { BodyKind, BodyRules } from '../index.ts'

const FULL: MaskingRule = { kind: 'full' }
const MARK = 'ada-7f3a9@example.com'
const RULES: BodyRules = { paths: [{ path: '**.email', rule: FULL }], nested: true }
const CSV: BodyKind = { kind: 'csv', header: 'unknown', tabs: false }
const TOLD: BodyKind = { kind: 'csv', header: 'present', tabs: false }

/** The same in pieces of any size, with no mark in it. */
function shown(body: string | Buffer, kind: BodyKind, rules = RULES): string {
  const sizes = [1, 7, 1 << 20].map((size) =>
    bodyInPieces(Buffer.from(body), kind, rules, size).bytes.toString(),
  )
  expect(new Set(sizes).size).toBe(1)
  const [text = ''] = sizes
  expect(text).not.toContain(MARK)
  return text
}

function refused(body: string | Buffer, kind: BodyKind, rules = RULES): void {
  for (const size of [1, 7, 1 << 20])
    expect(() => bodyInPieces(Buffer.from(body), kind, rules, size)).toThrow('withheld')
}

describe('JSON in a text (C-05)', () => {
  it('is found behind more blanks than are kept, whatever the pieces (P-02)', () => {
    const text = `${' '.repeat(LIMITS.bodyTextBytesMax + 10)}{"email":"${MARK}"}`
    expect(shown(JSON.stringify({ data: text }), { kind: 'json' })).toBe('{"data":"[masked]"}')
    shown(`id,email,data\n1,,"${text.replaceAll('"', '""')}"\n`, CSV)
  })
})

describe('the name of a field', () => {
  it.each([
    'email[0]',
    'email[work]',
    'email[work][0]',
    'email.work',
    'customer[email][]',
    'customer[email][work]',
    'customer.email.0',
    'a[b].email',
  ])('leads to what is masked, or into it, in a form (P-02): %s', (name) => {
    for (const written of [name, encodeURIComponent(name)])
      expect(shown(`${written}=${MARK}&id=1`, { kind: 'form' })).toBe(`${written}=%5Bmasked%5D&id=1`)
  })

  it.each(['customer.email', 'customer/email', 'customers[0].email', 'email.0', 'a[email]'])(
    'is a path where a program has flattened records into a table (P-02): %s',
    (name) => {
      for (const head of [`id,${name}`, `email,${name}`])
        expect(shown(`${head}\n,${MARK}\n`, CSV)).toBe(`${head}\n,[masked]\n`)
    },
  )
})

describe('a table (C-06)', () => {
  const utf16 = Buffer.from(`id,email\n1,${MARK}\n`, 'utf16le')
  it.each([
    ['in UTF-16 that does not say so', utf16],
    ['with a line for a spreadsheet in front', `sep=;\nid;email\n1;${MARK}\n`],
    ['with another table behind it', `id,email,x\n1,,1\n\nid,x,email\n2,1,${MARK}\n`],
    ['with another table behind it, with returns', `id,email,x\r\n\r\nid,x,email\r\n2,1,${MARK}\r\n`],
  ])('is not read %s, even where the type says that names are there (P-03)', (_name, body) => {
    refused(body, CSV)
    refused(body, TOLD)
  })

  it('may end with empty lines, and one of a single column may have them anywhere', () => {
    expect(shown('id,email\n1,a\n\n\n', CSV)).toBe('id,email\n1,[masked]\n\n\n')
    expect(shown('email\na\n\nb\n', CSV)).toBe('email\n[masked]\n\n[masked]\n')
  })
})

describe('text', () => {
  it('in UTF-16 that does not say so is not read: nothing in it looks like anything (P-03)', () => {
    const rules = { paths: [], detectors: [{ detector: 'email', rule: FULL }] } as const
    refused(Buffer.from(`write to ${MARK}`, 'utf16le'), { kind: 'text' }, rules)
  })
})

describe('XML (C-05)', () => {
  it.each([
    [`<r><c xml:email="${MARK}"/></r>`, '<r><c xml:email="[masked]"/></r>'],
    [`<r><a:b:email>${MARK}</a:b:email></r>`, '<r><a:b:email>[masked]</a:b:email></r>'],
    [`<r><email xml:lang="en">${MARK}</email></r>`, '<r><email xml:lang="en">[masked]</email></r>'],
    // Commented out is not gone.
    [`<r><!-- <email>${MARK}</email> --></r>`, '<r><!--masked--></r>'],
    [`<r><?email ${MARK}?></r>`, '<r><?masked?></r>'],
    [
      '<?xml version="1.0"?><r><!-- plain --><?p x?></r>',
      '<?xml version="1.0"?><r><!-- plain --><?p x?></r>',
    ],
    // A writer has to part `]]>`, whatever stands in it.
    [
      `<r><d><![CDATA[{"email":"a]]]]><![CDATA[>${MARK}"}]]></d><e>x</e></r>`,
      '<r><d><![CDATA[[masked]]]><![CDATA[[masked]]]></d><e>x</e></r>',
    ],
    [
      `<r><d>{"em<!-- x -->ail":"${MARK}"}</d><e>{"a":1}</e></r>`,
      '<r><d>{"em<!-- x -->[masked]</d><e>{"a":1}</e></r>',
    ],
    [`<r><d>{"em<![CDATA[ail":"]]>${MARK}"}</d></r>`, '<r><d>{"em<![CDATA[[masked]]]>[masked]</d></r>'],
  ])('shows nothing of it: %s (P-02)', (body, expected) => {
    expect(shown(body, { kind: 'xml' })).toBe(expected)
  })

  it('has no comment that is longer than what is kept, where something may be masked', () => {
    const long = `<!-- ${'x'.repeat(LIMITS.bodyTextBytesMax)} <email>${MARK}</email> -->`
    expect(shown(`<r>${long}</r>`, { kind: 'xml' })).toBe('<r><!--masked--></r>')
  })
})
