/** What who approves is told of the session that a command would run in. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { SessionChanges } from '../../../core/index.ts'
import type { Permitted } from '../../../session/index.ts'
import type { SqlAnalyser } from '../../../sql/index.ts'
import { createSqlAnalyser } from '../../../sql/index.ts'
import { lendParserInstance } from '../../../testing/lent-parsers.ts'
import { STATUS_BYTES } from '../../../wire/postgres/index.ts'
import { MeantSettings } from './meant-settings.ts'
import { noteTold, toldOf } from './told.ts'

let analyser: SqlAnalyser
beforeAll(async () => {
  analyser = await createSqlAnalyser(lendParserInstance)
})
afterAll(() => analyser.close())

type Sent = {
  readonly text: string
  readonly parameters?: readonly (Uint8Array | null)[]
  readonly sealed?: true
}

/** A session after these, each a simple query that succeeds. */
function after(
  sent: readonly (string | Sent)[],
  start: Readonly<Record<string, string>> = {},
): MeantSettings {
  const settings = new MeantSettings()
  settings.begin(new Map(Object.entries(start)))
  let open = false
  for (const each of sent) {
    const { text, parameters, sealed } = typeof each === 'string' ? ({ text: each } as Sent) : each
    const parsed = analyser.parse(text)
    if (parsed instanceof Promise) throw new Error('short texts are parsed inline')
    const facts = analyser.analyse(parsed, { searchPath: [] })
    const judgement = { facts } as Permitted['judgement']
    noteTold(judgement, parsed)
    const recorded = sealed && {
      text: '',
      parameters: undefined,
      sealed: [{ labels: ['pii.email'], numbers: [1], values: ['x'] }],
    }
    const command = { form: 'query', text, facts, parameters, recorded } as unknown as Permitted['command']
    const told = toldOf(judgement)
    settings.sent(told)
    for (let i = 0; i < told.marks.length; i++) settings.ran(command, told, i, false)
    open = /^begin/i.test(text) || (open && !/^(commit|rollback$)/i.test(text))
    settings.ready(open ? STATUS_BYTES.transaction : STATUS_BYTES.idle, false)
  }
  return settings
}

const said = (...sent: readonly (string | Sent)[]): SessionChanges => after(sent).said

it('says nothing of a session that has changed nothing', () => {
  expect(said('SELECT 1', 'BEGIN', 'COMMIT')).toEqual({ changes: [], moved: false })
})

it('says path, role and settings, each as it is now, and when names and rights may be others', () => {
  expect(
    said('SET search_path = s2', "SET app.tenant = 'evil'", 'SET search_path = s3, "$user"', 'SET ROLE app2'),
  ).toEqual({
    changes: ['app.tenant = evil', 'search_path = s3, $user', 'role = app2'],
    moved: true,
  })
  expect(said("SET app.tenant = 'evil'", "SET TIME ZONE 'UTC'")).toEqual({
    changes: ['app.tenant = evil', 'timezone = UTC'],
    moved: false,
  })
})

it.each([
  ['SET ROLE app2'],
  ['SET SESSION AUTHORIZATION app2'],
  ["SET SCHEMA 's3'"],
  ["SELECT set_config('search_path', 's3', false)"],
  ["SELECT set_config('RO' || 'LE', 'app2', false)"],
  ['SET session_replication_role = replica'],
  ['CREATE TEMP TABLE notes (id int)'],
  ['DO $$ BEGIN END $$'],
  ['SELECT mine(1)'],
])('takes the session for moved after %s', (text) => {
  const { changes, moved } = said(text)
  expect(moved).toBe(true)
  expect(changes).toHaveLength(1)
})

it('takes back what is rolled back, and lets go of what held for a transaction', () => {
  expect(said('BEGIN', 'SET ROLE app2', 'ROLLBACK')).toEqual({ changes: [], moved: false })
  expect(said('BEGIN', 'SET LOCAL ROLE app2').changes).toEqual(['role = app2, until its transaction ends'])
  expect(said('BEGIN', 'SET LOCAL ROLE app2', 'COMMIT')).toEqual({ changes: [], moved: false })
  expect(said('SET ROLE a', 'BEGIN', 'SET LOCAL ROLE b', "SET app.x = '1'", 'COMMIT').changes).toEqual([
    'role = a',
    'app.x = 1',
  ])
  expect(said('SET ROLE app2', 'RESET ROLE')).toEqual({ changes: ['role = as by default'], moved: false })
  expect(said('SET ROLE app2', 'DISCARD ALL')).toEqual({ changes: [], moved: false })
})

it('says what a client began with, and binds an approval to the name that it gives itself', () => {
  const { said: words } = after([], {
    user: 'u',
    application_name: 'psql',
    options: '-c role=app2',
    TimeZone: 'UTC',
  })
  expect(words).toEqual({
    changes: ['options = -c role=app2, from its start', 'timezone = UTC, from its start'],
    moved: true,
  })
  expect(after([], { application_name: 'evil' }).now).not.toBe(after([]).now)
  expect(after([], { application_name: 'evil' }).now).toBe(after([], { application_name: 'evil' }).now)
})

it('shows parameters, and no value that looks like a secret or belongs to a protected column', () => {
  const text = 'SELECT set_config($1, $2, false)'
  const bytes = (...all: string[]): Uint8Array[] => all.map((each) => Buffer.from(each))
  expect(said({ text, parameters: bytes('app.tenant', 'evil') }).changes).toEqual(['app.tenant = evil'])
  expect(said({ text, parameters: bytes('search_path', 's3') }).moved).toBe(true)
  expect(said({ text, parameters: bytes('app.tenant', 'evil'), sealed: true }).changes).toEqual([
    'app.tenant = (protected)',
  ])
  for (const [name, value] of [
    ['app.api_token', 'abc'],
    ['request.jwt.claims', '{}'],
    ['app.x', 'eyJhbGciOiJIUzI1NiJ9.e30.abc'],
    ['app.x', 'c'.repeat(40)],
  ] as const)
    expect(said({ text, parameters: bytes(name, value) }).changes).toEqual([
      `${name} = (${value.length} characters, not shown)`,
    ])
})

it('keeps to some lines, and says when there have been more', () => {
  const { changes, moved } = said(...Array.from({ length: 30 }, (_, i) => `SET app.s${i} = 'x\u001b'`))
  expect(changes).toHaveLength(21)
  expect(changes[0]).toBe('more than is remembered')
  expect(changes[20]).toBe('app.s29 = x\\u{1b}')
  expect(moved).toBe(true)
})
