import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seed } from '../../../test/support/proof.ts'
import { harmlessEnd, isHarmless } from '../bodies/harmless.ts'
import type { BodyKind } from '../index.ts'
import { bodyInPieces } from '../../testing/body-pieces.ts'
import { DETECTOR_NAMES, DETECTORS } from './index.ts'
import type { DetectorName } from './index.ts'

const PEM = [
  '-----BEGIN RSA PRIVATE KEY-----',
  'MIIEowIBAAKCAQEA7',
  'bm90IGEga2V5',
  '-----END RSA PRIVATE KEY-----',
].join('\n')
/** Made up here, so that no scanner takes this file for a leak. */
const JWT = ['eyJhbGciOiJub25lIn0', 'eyJzdWIiOiJhZGEifQ', 'c2lnbmF0dXJl'].join('.')
const GITHUB = `ghp_${'a1B2'.repeat(9)}`

describe('a detector', () => {
  it.each<[DetectorName, string, string[]]>([
    ['email', 'to ada.l+x@mail.example.co.uk, and <b@c.de>.', ['ada.l+x@mail.example.co.uk', 'b@c.de']],
    ['email', 'jörg@bücher.example', ['jörg@bücher.example']],
    [
      'card',
      'card 4111 1111 1111 1111 and 5500-0000-0000-0004.',
      ['4111 1111 1111 1111', '5500-0000-0000-0004'],
    ],
    ['card', '4111111111111111 4012888888881881', ['4111111111111111', '4012888888881881']],
    ['card', '12 378282246310005', ['378282246310005']],
    ['iban', 'pay DE89 3704 0044 0532 0130 00 now', ['DE89 3704 0044 0532 0130 00']],
    ['iban', 'gb82west12345698765432,NO9386011117947', ['gb82west12345698765432', 'NO9386011117947']],
    ['jwt', `Bearer ${JWT};`, [JWT]],
    ['private-key', `x\n${PEM}`, [PEM]],
    ['vendor-token', `token=${GITHUB} AKIA${'ABCD'.repeat(4)}`, [GITHUB, `AKIA${'ABCD'.repeat(4)}`]],
  ])('finds what it is for: %s in %j', (name, text, expected) => {
    const hits = DETECTORS[name].find(text)
    expect(hits.map(({ from, to }) => text.slice(from, to).trim())).toEqual(expected)
  })

  it.each<[DetectorName, string]>([
    ['email', 'a @ b.c, @handle, user@localhost, 3 @ 4'],
    ['card', '4111 1111 1111 1112, 1234567890123, 2026-11-27 19:30:00 0000'],
    ['iban', 'DE88 3704 0044 0532 0130 00, XX12 3456 7890 1234, DE12'],
    ['jwt', 'eyJ.a.b, a.b.c'],
    ['private-key', '-----BEGIN PUBLIC KEY-----'],
    ['vendor-token', 'ghp_short, AKIAlower, sk-1'],
  ])('leaves other things alone: %s in %j', (name, text) => {
    expect(DETECTORS[name].find(text)).toEqual([])
  })

  it.each(DETECTOR_NAMES)('is linear in what it looks at: %s', (name) => {
    const hostile = [
      'a',
      '@',
      '4',
      'eyJ',
      '-----BEGIN PRIVATE KEY',
      'DE89',
      'a@a.',
      'ghp_',
      ' 4',
      'eyJa.',
    ].map((each) => each.repeat(Math.ceil(60_000 / each.length)))
    for (const text of hostile) {
      const start = performance.now()
      DETECTORS[name].find(text)
      expect(performance.now() - start).toBeLessThan(2_000)
    }
  })
})

const detectors = DETECTOR_NAMES.map((detector) => ({ detector, rule: { kind: 'full' as const } }))

describe('detectors in a body', () => {
  it.each([
    ['json', `{"a":"write to ada@example.com \\u0041","b":["4111 1111\\u00201111 1111"],"n":1.50}`],
    ['json-lines', `{"a":"ada\\u0040example.com"}\n{"b":"ok"}\n`],
    ['events', `data: {"a":"ada@example.com"}\n\ndata: hello ada@example.com\n\n`],
    ['csv', `a,b\n"x ""ada@example.com""",1\nada@example.com,2\n`],
    ['form', `a=write+to+ada%40example.com&b=%E2%82%AC`],
    ['xml', `<a b="ada@example.com">x &lt;ada&#64;example.com&gt;</a>`],
    ['text', `Dear ada@example.com,\n4111 1111 1111 1111 is yours.\n`],
  ])('mask the hit and leave every other byte, in pieces of every size (P-02): %s', (name, text) => {
    const kind: BodyKind =
      name === 'csv' ? { kind: name, header: 'unknown', tabs: false } : { kind: name as 'text' }
    const hits = /ada(?:@|%40|\\u0040|&#64;)example\.com|4111 1111(?: |\\u0020)1111 1111/g
    const shown = { form: '%5Bmasked%5D' }[name] ?? '[masked]'
    const expected = text.replaceAll(hits, shown)
    expect(expected).not.toBe(text)
    for (let size = 1; size <= text.length; size++) {
      const { bytes } = bodyInPieces(Buffer.from(text), kind, { paths: [], detectors }, size)
      expect(bytes.toString()).toBe(expected)
    }
  })

  it('find a hit wherever it stands in a long text, and keep no more than the window of it (P-02)', () => {
    for (let at = 61_000; at < 70_000; at += 517) {
      const text = `${'lorem ipsum '.repeat(20_000).slice(0, at)} ada@example.com ${'dolor '.repeat(20_000)}`
      for (const size of [4096, 65_536]) {
        const { bytes, masked } = bodyInPieces(
          Buffer.from(text),
          { kind: 'text' },
          { paths: [], detectors },
          size,
        )
        expect(bytes.toString()).toBe(text.replace('ada@example.com', '[masked]'))
        expect(masked).toEqual([{ path: 'email', count: 1 }])
      }
    }
  })

  it('hide what is longer than the window to its end (P-02)', () => {
    const key = `-----BEGIN PRIVATE KEY-----\n${'QUJDRA'.repeat(30_000)}\n-----END PRIVATE KEY-----`
    const text = `before ${key} <after>`
    for (const size of [5_000, 64 * 1024, text.length]) {
      const { bytes } = bodyInPieces(Buffer.from(text), { kind: 'text' }, { paths: [], detectors }, size)
      expect(bytes.toString()).not.toContain('QUJD')
      expect(bytes.toString()).toMatch(/^before \[masked\].*<after>$/s)
    }
  })

  it('are not asked about plain texts, in which none of them finds anything', () => {
    const made = [...'ab 0 1 @ .-_:/x'].map(String)
    const known = [
      'ada@b.cd',
      '4222222222222',
      'NO9386011117947',
      'MT84MALT011000012345MTLCAST001S',
      `xapp-${'a'.repeat(10)}`,
    ]
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...made, ...known), { maxLength: 12 }), (parts) => {
        const text = parts.join('')
        const found = DETECTOR_NAMES.some((name) => DETECTORS[name].find(text).length > 0)
        if (found) expect(isHarmless(text)).toBe(false)
        if (found) expect(harmlessEnd(Buffer.from(`${text}"`), 0, true)).toBe(-1)
      }),
      { numRuns: 500, seed },
    )
    expect(isHarmless('a few plain words, 12 of them')).toBe(true)
  })

  it('come after paths: what a path hides is hidden by its rule', () => {
    const rules = { paths: [{ path: 'a', rule: { kind: 'constant' as const, text: 'gone' } }], detectors }
    const { bytes } = bodyInPieces(Buffer.from('{"a":"ada@example.com"}'), { kind: 'json' }, rules, 3)
    expect(bytes.toString()).toBe('{"a":"gone"}')
  })
})
