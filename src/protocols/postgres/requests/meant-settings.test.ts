import { afterAll, beforeAll, expect, it } from 'vitest'
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

function permit(text: string): Permitted {
  const parsed = analyser.parse(text)
  if (parsed instanceof Promise) throw new Error('short texts are parsed inline')
  const facts = analyser.analyse(parsed, { searchPath: [] })
  const judgement = { facts } as Permitted['judgement']
  noteTold(judgement, parsed)
  return { command: { form: 'query', text, facts }, judgement } as unknown as Permitted
}

type Status = keyof typeof STATUS_BYTES
/** A simple query, and how the server answers it; `fails`: its last statement does. */
type Sent = readonly [text: string, status: Status, failed?: 'fails']

/** A session, up to where it stands behind these. */
class Stand {
  readonly settings = new MeantSettings()
  constructor(parameters: Readonly<Record<string, string>> = {}) {
    this.settings.begin(new Map(Object.entries(parameters)))
  }

  query(text: string, status: Status, failed?: 'fails'): this {
    const { command, judgement } = permit(text)
    const told = toldOf(judgement)
    this.settings.sent(told)
    const ran = told.marks.length - (failed === undefined ? 0 : 1)
    for (let i = 0; i < ran; i++) this.settings.ran(command, told, i, false)
    this.settings.ready(STATUS_BYTES[status], failed !== undefined)
    return this
  }

  all(sent: readonly Sent[]): this {
    for (const each of sent) this.query(...each)
    return this
  }

  get now(): string {
    return this.settings.now
  }
}

const after = (...sent: readonly Sent[]): string => new Stand().all(sent).now

const BEGIN: Sent = ['BEGIN', 'transaction']
const tx = (text: string): Sent => [text, 'transaction']
const idle = (text: string): Sent => [text, 'idle']
const SET = "SET DateStyle = 'ISO, DMY'"

it('counts what was set, in or outside of a transaction', () => {
  expect(after(idle(SET))).not.toBe(after())
  expect(after(BEGIN, tx(SET), idle('COMMIT'))).toBe(after(idle(SET)))
  expect(after(BEGIN, tx(SET))).not.toBe(after())
})

it.each<[string, readonly Sent[]]>([
  ['rolled back', [BEGIN, tx(SET), idle('ROLLBACK')]],
  ['in a COMMIT that fails', [BEGIN, tx(SET), ['COMMIT', 'idle', 'fails']]],
  ['in vain', [[SET, 'idle', 'fails']]],
  ['in a batch that fails', [[`${SET}; SELECT 1/0`, 'idle', 'fails']]],
  ['for a transaction that is over', [BEGIN, tx("SET LOCAL app.tenant = 'a'"), idle('COMMIT')]],
  ['behind a savepoint', [BEGIN, tx('SAVEPOINT a'), tx(SET), tx('ROLLBACK TO a'), idle('COMMIT')]],
  ['and thrown away', [idle(SET), idle('DISCARD ALL')]],
])('does not count what was set and %s', (_how, sent) => {
  expect(after(...sent)).toBe(after())
})

it('does not count what was set in a transaction that had failed when it was committed', () => {
  const stand = new Stand().all([BEGIN, tx(SET), ['SELECT 1/0', 'failed', 'fails']])
  const { command, judgement } = permit('COMMIT')
  stand.settings.sent(toldOf(judgement))
  stand.settings.ran(command, toldOf(judgement), 0, true)
  stand.settings.ready(STATUS_BYTES.idle, false)
  expect(stand.now).toBe(after())
})

it('keeps what COMMIT AND CHAIN has settled', () => {
  expect(after(BEGIN, tx(SET), tx('COMMIT AND CHAIN'), idle('ROLLBACK'))).toBe(after(idle(SET)))
})

it.each<[string, readonly Sent[], readonly Sent[]]>([
  ['what a comment says of itself', [idle("SET SCHEMA 's3' -- reset all")], []],
  ['what a comment says it throws away', [idle("SET app.tenant = 'b' /* discard all */")], []],
  ['a role over RESET ALL, which keeps it', [idle('SET ROLE app2'), idle('RESET ALL')], []],
  ['a temporary table over RESET ALL', [idle('CREATE TEMP TABLE notes (id int)'), idle('RESET ALL')], []],
  ['a temporary view over RESET ALL', [idle('CREATE TEMP VIEW notes AS SELECT 1'), idle('RESET ALL')], []],
  ['DISCARD ALL in a batch', [idle(`${SET}; DISCARD ALL`)], []],
  ['DISCARD ALL that fails', [idle(SET), ['DISCARD ALL', 'idle', 'fails']], []],
  ['DISCARD PLANS', [idle(SET), idle('DISCARD PLANS')], []],
  [
    'ROLLBACK with a comment that says "to"',
    [BEGIN, tx("SET app.tenant = 'b'"), idle('ROLLBACK /* to */')],
    [idle("SET app.tenant = 'b'"), idle('ROLLBACK /* to */')],
  ],
  [
    'a savepoint before a setting and one behind it',
    [BEGIN, tx('SAVEPOINT a'), tx('SET LOCAL search_path = s3'), tx('ROLLBACK TO a')],
    [BEGIN, tx('SET LOCAL search_path = s3'), tx('SAVEPOINT a'), tx('ROLLBACK TO a')],
  ],
  [
    'a savepoint of the same name behind another',
    [BEGIN, tx('SAVEPOINT a'), tx(SET), tx('SAVEPOINT a'), tx('RELEASE a'), tx('ROLLBACK TO a')],
    [BEGIN, tx('SAVEPOINT a'), tx(SET), tx('SAVEPOINT a'), tx('ROLLBACK TO a')],
  ],
  [
    'set_config for a transaction, and behind its end',
    [BEGIN, tx("SELECT set_config('app.tenant', 'b', true)")],
    [BEGIN, tx("SELECT set_config('app.tenant', 'b', true)"), idle('COMMIT')],
  ],
  [
    'one that set what another transaction was told by SET LOCAL',
    [
      BEGIN,
      tx("SET LOCAL app.x = 'a'"),
      tx("SELECT set_config('app.y', current_setting('app.x'), false)"),
      idle('COMMIT'),
    ],
    [
      BEGIN,
      tx("SET LOCAL app.x = 'b'"),
      tx("SELECT set_config('app.y', current_setting('app.x'), false)"),
      idle('COMMIT'),
    ],
  ],
  [
    'SET behind SET LOCAL, within its transaction and behind it',
    [BEGIN, tx("SET LOCAL app.x = 'a'"), tx("SET app.y = 'b'")],
    [BEGIN, tx("SET LOCAL app.x = 'a'"), tx("SET app.y = 'b'"), idle('COMMIT')],
  ],
  [
    'two settings in another order',
    [idle('SET a.b = 1'), idle('SET a.b = 2')],
    [idle('SET a.b = 2'), idle('SET a.b = 1')],
  ],
])('tells apart: %s', (_what, one, other) => {
  expect(after(...one)).not.toBe(after(...other))
})

it('is like itself in another session that has sent the same, also around savepoints', () => {
  const sent = [BEGIN, tx('SAVEPOINT a'), tx("SELECT set_config('app.tenant', 'b', true)"), tx('RELEASE a')]
  expect(after(...sent)).toBe(after(...sent))
  expect(after(...sent)).not.toBe(after(BEGIN))
})

it.each([
  'SELECT set_tenant(1)',
  "SELECT set_config('search_path', (SELECT v FROM t), false)",
  "SELECT set_config('search_path', 's3', false) FROM t",
  'DO $$ BEGIN END $$',
  'CALL p()',
  "LOAD 'auto_explain'",
  "UPDATE pg_settings SET setting = 's3' WHERE name = 'search_path'",
  "SELECT query_to_xml('SELECT * FROM setter', true, true, '')",
  'EXECUTE nobody_knows',
  'DISCARD TEMP',
  'THIS IS NO SQL',
])('is like no other session after %s, whether it succeeds or not, and for good', (text) => {
  for (const failed of [undefined, 'fails'] as const) {
    const one = new Stand().query(text, 'idle', failed)
    expect(one.now).not.toBe(new Stand().query(text, 'idle', failed).now)
    const now = one.now
    expect(one.query('SELECT 1', 'idle').now).toBe(now)
    expect(one.query('DISCARD ALL', 'idle').now).toBe(now)
  }
  const rolled = new Stand()
    .query('BEGIN', 'transaction')
    .query(text, 'transaction')
    .query('ROLLBACK', 'idle')
  expect(rolled.now).not.toBe(after())
})

it('is as it was after what changes no meaning', () => {
  for (const text of [
    'SELECT 1',
    'SELECT lower(n) FROM t',
    'INSERT INTO t VALUES (1)',
    'SHOW search_path',
    'LISTEN x',
    '',
  ])
    expect(after(idle(text)), text).toBe(after())
})

it('knows a savepoint by no name that a server might cut', () => {
  const name = 'é'.repeat(3)
  const sent = [BEGIN, tx(`SAVEPOINT "${name}"`), tx(SET), tx(`ROLLBACK TO "${name}"`)]
  expect(after(...sent)).not.toBe(after(...sent))
})

it('takes back what was executed in vain, and what stood behind it', () => {
  const stand = new Stand()
  const [set, commit] = ["SET a.b = 'c'", 'COMMIT'].map((text) => permit(text))
  if (set === undefined || commit === undefined) throw new Error('two')
  const undo = [set, commit].map(({ command, judgement }) => {
    stand.settings.sent(toldOf(judgement))
    return stand.settings.ahead(command, toldOf(judgement), false)
  })
  expect(stand.now).toBe(after(idle("SET a.b = 'c'")))
  for (const each of undo.toReversed()) each()
  stand.settings.ready(STATUS_BYTES.idle, true)
  expect(stand.now).toBe(after())
})

it('says what has to be waited for', () => {
  const settings = new MeantSettings()
  const waits = ['BEGIN', 'COMMIT', 'ROLLBACK', 'SELECT 1', SET, 'SAVEPOINT a'].map((text) =>
    settings.sent(toldOf(permit(text).judgement)),
  )
  expect(waits).toEqual([false, false, false, false, true, true])
})

it('asks what stands behind the relations that were named, once, and remembers what it was told', async () => {
  const { settings } = new Stand().all([idle('SELECT * FROM setter'), idle('UPDATE s.notes SET n = 1')])
  const before = settings.now
  const asked: unknown[] = []
  expect(settings.isUnseen).toBe(true)
  await settings.look(async () => (reads, writes) => asked.push(reads, writes) > 0)
  expect(asked).toEqual([['setter'], ['s.notes']])
  expect(settings.isUnseen).toBe(false)
  expect(settings.now).toBe(before)
  settings.sent(toldOf(permit('SELECT * FROM setter').judgement))
  expect(settings.isUnseen).toBe(true)
  await settings.look(async () => () => false)
  const loud = settings.now
  expect(loud).not.toBe(before)
  // Asked again under the same: a retry finds its ticket.
  expect(settings.isUnseen).toBe(false)
  settings.sent(toldOf(permit('SELECT * FROM setter').judgement))
  await settings.look(async () => undefined)
  expect(settings.now).not.toBe(loud)
})

it('counts what planning a portal may have run', () => {
  const { settings } = new Stand()
  const before = settings.now
  settings.planned(toldOf(permit('SELECT * FROM setter').judgement))
  expect([settings.now, settings.isUnseen, settings.touches]).toEqual([before, true, 1])
  settings.planned(toldOf(permit('SELECT 1 FROM t WHERE id = mine(1)').judgement))
  expect(settings.now).not.toBe(before)
})

it.each([
  [idle('CREATE TEMP VIEW notes AS SELECT * FROM setter'), idle('SELECT * FROM notes')],
  [BEGIN, tx('CREATE OR REPLACE VIEW v AS SELECT * FROM setter'), tx('SELECT * FROM w')],
  [idle('SELECT * FROM v'), idle('CREATE OR REPLACE VIEW v AS SELECT 1')],
  [idle('CREATE OR REPLACE VIEW v AS SELECT 1; SELECT * FROM w')],
])('is like no other session when it reads by definitions that others do not see: %j', (...sent) => {
  expect(after(...sent)).not.toBe(after(...sent))
})
