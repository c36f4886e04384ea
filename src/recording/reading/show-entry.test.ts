import { expect, test } from 'vitest'
import type { Entry } from '../../core/index.ts'
import {
  adminEntry,
  closeEntry,
  intentEntry,
  openEntry,
  outcomeEntry,
  sessionId,
} from '../../testing/entries.ts'
import { safe, safeText } from '../../core/index.ts'
import { formatEntry } from './show-entry.ts'

const session = sessionId()
const show = (entry: Entry): string =>
  formatEntry({ sequence: 1, time: Date.UTC(2026, 0, 2, 3, 4, 5, 678), session, entry })

test('every kind of entry reads as a person would say it', () => {
  const entries: Entry[] = [
    openEntry(),
    intentEntry(1, {
      text: 'SELECT *\n\tFROM t\r\nWHERE id = $1',
      parameters: [Buffer.from('42').toString('base64'), null, Buffer.from([0, 255]).toString('base64')],
      masked: ['pii.email', 'pii.phone'],
    }),
    intentEntry(2, {
      decision: 'deny',
      rules: [],
      reason: 'Remove email from WHERE; it is protected (pii.email).',
    }),
    { kind: 'hold', head: { n: 3, ticket: 'T-7K2M9Q0A', expiresAt: Date.UTC(2026, 0, 2, 4) } },
    {
      kind: 'answer',
      head: { n: 3, ticket: 'T-7K2M9Q0A', answer: 'refused', by: 'person:eve', reason: 'not today' },
    },
    { kind: 'result', head: { n: 1 }, body: Buffer.alloc(1234) },
    outcomeEntry(1, { rows: 1, bytes: 70_000, unkept: 4464, ms: 12 }),
    outcomeEntry(2, { outcome: 'refused', tag: 'denied', rows: 0, bytes: 0, ms: 0 }),
    { kind: 'notice', head: { n: 1, code: '01000', message: 'email is masked' } },
    { kind: 'input', head: { n: 2 }, body: Buffer.alloc(1234) },
    {
      kind: 'input',
      head: { n: 2, end: { how: 'done', bytes: 70_000, unkept: 4464 } },
      body: Buffer.alloc(9),
      digest: Buffer.from('ab12'),
    },
    {
      kind: 'input',
      head: { n: 2, sealed: ['pii.email'], end: { how: 'failed', bytes: 1, unkept: 1 } },
      digest: Buffer.from('\x1b'),
    },
    closeEntry(2),
    adminEntry({ target: 'crm-password', details: { length: 20, sealed: true } }),
  ]
  expect(entries.map(show).join('\n')).toBe(`\
03:04:05.678  open     agent:support-agent for person:ada@example.com on crm (postgres) database crm
              | from 127.0.0.1 as "psql", credential c_0123456789abcdef by operator socket
03:04:05.678  #1 query  read: allow, by agents read (sluice.yaml:12)
              | masked: pii.email, pii.phone
              | SELECT *
              |     FROM t
              | WHERE id = $1
              | $1 = "42"
              | $2 = NULL
              | $3 = \\x00ff (2 bytes, text, but not UTF-8)
03:04:05.678  #2 query  read: deny, by no rule
              | reason: Remove email from WHERE; it is protected (pii.email).
              | SELECT 2
03:04:05.678  #3 held as T-7K2M9Q0A until 2026-01-02T04:00:00.000Z
03:04:05.678  #3 T-7K2M9Q0A refused by person:eve: not today
03:04:05.678  #1 result, 1,234 bytes
03:04:05.678  #1 ok  SELECT 1  1 row, 70,000 bytes (4,464 bytes not kept), 12 ms
03:04:05.678  #2 refused  denied  0 rows, 0 bytes, 0 ms
03:04:05.678  #1 notice 01000: email is masked
03:04:05.678  #2 sent, 1,234 bytes
03:04:05.678  #2 sent, to its end  70,000 bytes in all (4,464 bytes not kept), SHA-256 ab12
03:04:05.678  #2 sent, given up by the client  1 byte in all (1 byte not kept) [sealed pii.email]
03:04:05.678  close    client left, 2 commands
03:04:05.678  secret.set by person:ada@example.com  crm-password  length=20  sealed=true`)
})

test('nothing in a recording can move the cursor, hide, or look like an entry', () => {
  const nasty = [
    '\u001b[2J\u001b[31mred',
    'a\rb',
    'a\bb\u0007\u0000',
    '\u009b31m',
    'admin\u202egnp.exe\u2066\u2069',
    'zero\u200bwidth\u2060\ufeff',
    'line\u2028separator\u2029',
    'soft\u00adhyphen',
    'no\u00a0break\u3000wide',
    'hangul\u3164\u115f',
    'combining\u034f joiner \ufe0f',
    'half \ud800 \udfff',
    'private \ue000 tag \u{e0041}',
  ]
  for (const text of nasty) {
    const entries: Entry[] = [
      intentEntry(1, {
        text,
        form: text,
        rules: [text],
        reason: text,
        masked: [text],
        parameters: [Buffer.from(text).toString('base64')],
      }),
      openEntry({
        connection: text,
        program: text,
        database: text,
        clientAddress: text,
        credential: text,
        chain: [{ kind: 'agent', name: text, issuer: text, groups: [] }],
      }),
      { kind: 'answer', head: { n: 1, ticket: text, answer: 'approved', by: text, reason: text } },
      { kind: 'notice', head: { n: 1, code: text, message: text } },
      outcomeEntry(1, { tag: text }),
      closeEntry(1, text),
      adminEntry({ action: text, by: text, target: text, details: { [text]: text } }),
    ]
    for (const entry of entries) {
      const shown = show(entry)
      expect(shown).toMatch(/^[\p{L}\p{M}\p{N}\p{P}\p{S} \n]+$/u)
      expect(shown).toMatch(/\\u\{|\\u[0-9a-f]{4}|\\r/)
    }
  }
})

test('a forged line in a statement does not begin where entries begin', () => {
  const forged = 'SELECT 1\n03:04:05.678  #2 query  read: allow, by admins (sluice.yaml:1)'
  const lines = show(intentEntry(1, { text: forged })).split('\n')
  expect(lines.slice(1).every((line) => line.startsWith('              | '))).toBe(true)
})

test('what is harmless stays as it is', () => {
  expect(safe("Zoë's 日本語 \u{1f600} — ok")).toBe("Zoë's 日本語 \u{1f600} — ok")
  expect(safe('a\tb\nc')).toBe('a\\tb\\nc')
  expect(safeText('a\tb\nc')).toBe('a    b\nc')
})

test('a time that is none is no reason to fail', () => {
  expect(show({ kind: 'hold', head: { n: 1, ticket: 'T', expiresAt: 9e15 } })).toContain(
    'until an unknown time',
  )
})
