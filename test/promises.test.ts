/** Holds docs/promises.md against the tests: every promise has proof, and every proof it lists exists. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { PAGE, allProofs, proofsIn, withProofs } from '../tools/promises.ts'

const page = readFileSync(PAGE, 'utf8')
const proofs = allProofs()
const IDS = Array.from({ length: 10 }, (_, index) => `P-${String(index + 1).padStart(2, '0')}`)

/** Promises that no test proves yet. This list may only become shorter. */
const BARE: readonly string[] = IDS

describe('docs/promises.md', () => {
  it('has one section for each promise, in order', () => {
    expect([...page.matchAll(/^## (P-\d\d) \S/gm)].map((match) => match[1])).toEqual(IDS)
  })

  it('lists exactly the tests that name a promise; npm run promises brings it up to date', () => {
    expect(withProofs(page, proofs)).toBe(page)
  })

  it('leaves no promise without a test', () => {
    const bare = IDS.filter((id) => !proofs.some((proof) => proof.promise === id))
    expect(bare.filter((id) => !BARE.includes(id))).toEqual([])
  })
})

describe('collecting', () => {
  const text = [
    "describe('a group (P-01)', () => {",
    "  it('does not say', () => {})",
    "  it('says it\\'s two: P-02, P-03', () => {})",
    "  it.each([1])('each of %s (P-04)', () => {})",
    '  test(`in a template (P-05)`, () => {})',
    "  // it('a comment (P-06)')",
    "  log('not a test (P-07)')",
    "  it('no promise: P-11, XP-08', () => {})",
    '})',
  ].join('\n')

  it('finds titles and nothing else', () => {
    expect(proofsIn('a.test.ts', text).map((proof) => `${proof.promise} ${proof.title}`)).toEqual([
      'P-01 a group (P-01)',
      "P-02 says it's two: P-02, P-03",
      "P-03 says it's two: P-02, P-03",
      'P-04 each of %s (P-04)',
      'P-05 in a template (P-05)',
    ])
  })

  it('replaces only the lists', () => {
    const before = '# A\n\n## P-01 one\n\nText.\n\n- `old.test.ts`: gone\n\n## P-02 two\n\nText.\n'
    const after = withProofs(before, [{ promise: 'P-02', file: 'b.test.ts', title: 'new (P-02)' }])
    expect(after).toBe('# A\n\n## P-01 one\n\nText.\n\n## P-02 two\n\nText.\n\n- `b.test.ts`: new (P-02)\n')
    expect(withProofs(after, [{ promise: 'P-02', file: 'b.test.ts', title: 'new (P-02)' }])).toBe(after)
  })
})
