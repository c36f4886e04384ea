import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Summary } from './summary.ts'
import { isOwnKey, signSummary, verifySummary } from './summary.ts'

const SUMMARY: Summary = {
  kind: 'sluice policy prove',
  version: 1,
  program: '0.1.0',
  at: '2026-01-01T00:00:00.000Z',
  connection: 'crm',
  database: 'crm',
  scratchDatabase: 'probe',
  identity: 'agent:a',
  policyVersion: 'cfg_1',
  // Not in the order of the schema, on purpose.
  leaks: [],
  schema: '00',
  relations: 3,
  notCopied: [],
  marked: ['public.customers.email'],
  seen: [],
  unmarked: [],
  counts: { run: 9, telling: 8, refused: 3, held: 0, failed: 0, masked: 5, leaked: 0 },
}

describe('a signed summary', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-summary-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('is what was signed, by a key that only its owner reads and that stays', () => {
    const signed = signSummary(folder, SUMMARY)
    const read = verifySummary(JSON.stringify(signed, undefined, 2))
    expect(read.summary).toEqual(SUMMARY)
    expect(isOwnKey(folder, read)).toBe(true)
    expect(statSync(join(folder, 'proofs', 'prove-key.pem')).mode & 0o777).toBe(0o600)
    expect(signSummary(folder, SUMMARY)).toEqual(signed)
  })

  it('is checked by the line of docs/masking.md as well', () => {
    const page = readFileSync(new URL('../../../../docs/masking.md', import.meta.url), 'utf8')
    const [, script] = /^node -e '(.+)'$/m.exec(page) ?? []
    const check = (text: string) => {
      writeFileSync(join(folder, 'summary.json'), text)
      return execFileSync(process.execPath, ['-e', script ?? ''], { cwd: folder, encoding: 'utf8' }).trim()
    }
    const text = JSON.stringify(signSummary(folder, SUMMARY))
    expect(check(text)).toBe('true')
    expect(check(text.replace('agent:a', 'agent:b'))).toBe('false')
  })

  it('of another gateway is told from one of our own', () => {
    const signed = signSummary(join(folder, 'other'), SUMMARY)
    expect(isOwnKey(folder, signed)).toBeUndefined()
    signSummary(folder, SUMMARY)
    expect(isOwnKey(folder, signed)).toBe(false)
  })

  it.each([
    ['a changed count', (text: string) => text.replace('"leaked":0', '"leaked":1')],
    ['another identity', (text: string) => text.replace('agent:a', 'agent:b')],
    [
      'another order',
      (text: string) =>
        text
          .replace('"version":1,', '')
          .replace('"program"', '"version":1,"program"')
          .replace('{"kind":"sluice policy prove",', '{')
          .replace('"connection"', '"kind":"sluice policy prove","connection"'),
    ],
    ['no key', (text: string) => text.replace(/"publicKey":"[^"]+"/, '"publicKey":""')],
    ['no signature', (text: string) => text.replace(/"signature":"[^"]+"/, '"signature":""')],
    ['a field more', (text: string) => text.replace('"leaks":[]', '"leaks":[],"more":1')],
    ['no JSON', () => 'x'],
  ])('with %s is refused', (_what, change) => {
    const text = JSON.stringify(signSummary(folder, SUMMARY))
    expect(change(text)).not.toBe(text)
    expect(() => verifySummary(change(text))).toThrow()
  })
})
