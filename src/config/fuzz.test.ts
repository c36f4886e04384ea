import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { seed, tally, times } from '../../test/support/proof.ts'
import { loadConfig } from './index.ts'
import { line, secretReference } from './values.ts'

/** Whatever stands in the file, reading it ends, and what is wrong has a place in it and a fix. */

const page = readFileSync(new URL('../../docs/formats/config.md', import.meta.url), 'utf8')
const EXAMPLE = /^```yaml\n([\s\S]*?)^```$/m.exec(page)?.[1] ?? ''

const protocols = {
  postgres: {
    settings: z.strictObject({
      upstream: z.strictObject({
        host: line('a host'),
        user: line('a role'),
        password: secretReference().optional(),
        sslmode: z.enum(['disable', 'verify-full']).default('verify-full'),
      }),
      databases: z.array(line('a database')).default([]),
    }),
  },
  http: {
    settings: z.strictObject({
      upstream: z.strictObject({ url: line('a URL'), bearer: secretReference().optional() }),
      routes: z
        .array(z.strictObject({ method: z.string(), path: z.string(), class: z.string() }))
        .default([]),
    }),
  },
}

const piece = fc.oneof(
  fc.constantFrom(
    '\t',
    '\n',
    ' ',
    ':',
    '- ',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '#',
    '&a ',
    '*a',
    '!x ',
    '|',
    '>',
    '\\',
    '---\n',
  ),
  fc.constantFrom(
    '${',
    '${env:X}',
    'null',
    'true',
    '1',
    '-1',
    '1e999',
    '0x7f',
    '~',
    'é',
    '\u0000',
    '😀',
    '__proto__: 1',
  ),
  fc.string({ maxLength: 5 }),
)
/** Where, how much is cut out there, and what is put in. */
const edit = fc.tuple(fc.nat(EXAMPLE.length), fc.nat(12), piece)

it('reads or refuses every mutation of a configuration (P-03)', () => {
  const runs = times({ small: 300, full: 50_000 })
  let read = 0
  let refused = 0
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let text = EXAMPLE
      for (const [at, cut, put] of edits) text = text.slice(0, at) + put + text.slice(at + cut)
      const result = loadConfig({ file: 'f', text }, { protocols })
      if (result.ok) {
        read += 1
        return
      }
      refused += 1
      const lines = text.split('\n')
      expect(result.problems.length).toBeGreaterThan(0)
      for (const problem of result.problems) {
        expect(problem.line).toBeGreaterThanOrEqual(1)
        expect(problem.line).toBeLessThanOrEqual(lines.length)
        expect(problem.column).toBeGreaterThanOrEqual(1)
        expect(problem.column).toBeLessThanOrEqual((lines[problem.line - 1] ?? '').length + 1)
        expect(problem.message).toMatch(/^\S[^\n]*$/)
        expect(problem.fix).toMatch(/^\S[^\n]*$/)
      }
    }),
    { numRuns: runs, seed },
  )
  tally('mutations', read + refused)
  expect(refused).toBeGreaterThan(0)
  // One in thirty is still a configuration: of few runs it says nothing that none was among them.
  if (runs >= 300) expect(read).toBeGreaterThan(0)
})
