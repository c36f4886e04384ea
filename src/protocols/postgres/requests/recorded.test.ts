/** Marker values in statements and parameters, and who finds them in what is recorded. */
import { afterEach, describe, expect, it } from 'vitest'
import type { IntentHead } from '../../../core/index.ts'
import type { Answer } from '../../../testing/fake-postgres-answers.ts'
import { fails, rows } from '../../../testing/fake-postgres-answers.ts'
import { FieldOpener } from '../../../recording/index.ts'
import type { StageOptions } from '../../../testing/postgres-stage.ts'
import { bind, execute, FIELDS, parse, PostgresStage, sync } from '../../../testing/postgres-stage.ts'
import { testKeys } from '../../../testing/recording-keys.ts'
import { AGENT_RULES, until } from '../../../testing/world.ts'

const FILTERING = `${AGENT_RULES}  - { name: agents filter, who: { kinds: [agent] }, on: all, permit: { filter: all, store: all } }
`
const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

async function open(options: StageOptions = {}): Promise<PostgresStage> {
  const stage = await PostgresStage.open({ rules: FILTERING, ...options })
  stages.push(stage)
  return stage
}

/** What of its commands is recorded, as one sees it who may see these labels. */
function recorded(stage: PostgresStage, ...labels: string[]): IntentHead[] {
  const opener = new FieldOpener(testKeys)
  return stage.world
    .entries('intent')
    .map((entry) => opener.shown(entry, (label) => labels.includes(label)).head as IntentHead)
}

function isFree(stage: PostgresStage, marker: string): boolean {
  const { journal } = stage.world
  const bytes = journal.bytes()
  const everything = JSON.stringify(recorded(stage))
  return [marker, Buffer.from(marker).toString('base64').slice(0, 12)].every(
    (each) => !bytes.includes(each) && !everything.includes(each),
  )
}

it('simple statements, judged anew and found again', async () => {
  const stage = await open()
  const client = await stage.client()
  await client.query("SELECT id FROM customers WHERE note = 'open' AND email = 'marker-one@x.org'")
  await client.query("SELECT id FROM customers WHERE note = 'other' AND email = 'marker-2@x.org'")
  await client.query("SELECT id FROM customers WHERE email LIKE 'marker%' -- about marker-three")
  expect(isFree(stage, 'marker')).toBe(true)
  expect(recorded(stage).map(({ text }) => text)).toEqual([
    "SELECT id FROM customers WHERE note = 'open' AND email = [sealed pii.email]",
    "SELECT id FROM customers WHERE note = 'other' AND email = [sealed pii.email]",
    'SELECT id FROM customers WHERE email LIKE [sealed pii.email] [sealed pii.email]',
  ])
  expect(recorded(stage, 'pii.email').map(({ text }) => text)).toEqual(stage.ran())
})

it('parameters, text and binary', async () => {
  const stage = await open()
  const client = await stage.client()
  const text = 'SELECT id FROM customers WHERE email = $1 AND id = $2'
  const id = Buffer.from('abcd')
  for (const binary of [false, true])
    await client.say([parse(text), bind({ values: ['marker@x.org', 'abcd'], binary }), execute(), sync])
  expect(isFree(stage, 'marker')).toBe(true)
  expect(recorded(stage)).toMatchObject([
    { text, parameters: ['[sealed pii.email]', id.toString('base64')] },
    { text, parameters: ['[sealed pii.email]', id.toString('base64')] },
  ])
  const marker = Buffer.from('marker@x.org').toString('base64')
  expect(recorded(stage, 'pii.email')[0]?.parameters).toEqual([marker, id.toString('base64')])
})

it('arguments of EXECUTE, and what was prepared by SQL', async () => {
  const stage = await open()
  const client = await stage.client()
  await client.query("PREPARE p(text) AS SELECT id FROM customers WHERE email = $1 AND secret <> 'marker-a'")
  await client.query("EXECUTE p('marker-b')")
  expect(isFree(stage, 'marker')).toBe(true)
  expect(recorded(stage, 'pii.email', 'secret').map(({ text }) => text)).toEqual([
    "PREPARE p(text) AS SELECT id FROM customers WHERE email = $1 AND secret <> 'marker-a'",
    "EXECUTE p('marker-b')",
  ])
})

it('attempts that are denied, when prepared and when run, and what cannot be read', async () => {
  const stage = await open({ rules: AGENT_RULES })
  const client = await stage.client()
  await client.query("SELECT id FROM customers WHERE email LIKE 'marker%'")
  await client.say([parse("SELECT id FROM customers WHERE secret > 'marker'"), sync])
  await client.query("SELECT id FORM customers WHERE email = 'marker'")
  await client.query("SELECT no_such_column FROM customers WHERE id = 'marker'")
  await client.query("DO $$ BEGIN PERFORM 'marker'; END $$")
  expect(recorded(stage)).toHaveLength(5)
  expect(recorded(stage).every(({ decision }) => decision === 'deny')).toBe(true)
  expect(isFree(stage, 'marker')).toBe(true)
})

it('held commands: the approver sees what is asked, the recording keeps it sealed, and it runs as it was', async () => {
  const stage = await open()
  const client = await stage.client()
  const text = "UPDATE customers SET email = 'marker@x.org', note = 'moved' WHERE id = 7"
  const running = client.query(text)
  await until('it is held', () => stage.world.entries('hold').length === 1)
  const [held] = stage.world.approvals.list({ states: ['pending'] })
  expect(held?.text).toBe(text)
  expect(held?.shown?.text).toBe(
    "UPDATE customers SET email = [sealed pii.email], note = 'moved' WHERE id = 7",
  )
  if (held !== undefined) await stage.world.answer(held.ticket, 'approve')
  await running
  expect(stage.ran()).toEqual([text])
  expect(recorded(stage)[0]?.text).toBe(
    "UPDATE customers SET email = [sealed pii.email], note = 'moved' WHERE id = 7",
  )
  expect(isFree(stage, 'marker')).toBe(true)
})

describe('what the server says in words', () => {
  const SEEING = `${FILTERING}  - { name: agents see, who: { kinds: [agent] }, on: all, permit: { see: all } }
`
  const quoting = (at?: 'parse'): Answer => ({
    ...fails('22P02', 'invalid input syntax for type numeric: "MARKER"', { detail: 'Key (email)=(MARKER)' }),
    ...(at === undefined ? {} : { at }),
  })

  /** Where each told text stands, and under which labels. */
  function told(stage: PostgresStage): (readonly [string, number, readonly string[] | undefined])[] {
    return [...stage.world.entries('result'), ...stage.world.entries('outcome')].flatMap(
      ({ kind, head, ...of }) =>
        'body' in of && of.body !== undefined ? [[kind, head.n, head.sealed] as const] : [],
    )
  }

  it('is sealed at Parse, before there is a command', async () => {
    const stage = await open({ rules: SEEING })
    stage.server.answer(/secret = /, quoting('parse'))
    const client = await stage.client()
    const answer = await client.say([parse("SELECT id FROM customers WHERE secret = 'marker'"), sync])
    expect(JSON.stringify(answer)).toContain('MARKER')
    expect(told(stage)).toEqual([['result', 0, ['secret']]])
    expect(stage.world.journal.bytes().includes('MARKER')).toBe(false)
  })

  it('is sealed in a command, beside rows that are not', async () => {
    const stage = await open({ rules: SEEING })
    stage.server.answer(/secret = /, rows([FIELDS.id], [['1']]), quoting())
    const client = await stage.client()
    await client.query("SELECT id FROM customers WHERE secret = 'marker'")
    expect(stage.world.journal.bytes().includes('MARKER')).toBe(false)
  })

  it('is sealed at the end of a transaction, and plain in the next', async () => {
    const stage = await open({ rules: SEEING })
    stage.server.answer('COMMIT', quoting())
    stage.server.answer('SELECT bad', fails('42703', 'column "bad" does not exist'))
    const client = await stage.client()
    await client.query('BEGIN')
    await client.query("SELECT id FROM customers WHERE secret = 'marker'")
    await client.query('COMMIT')
    await client.query('ROLLBACK')
    await client.query('SELECT bad')
    expect(stage.world.journal.bytes().includes('MARKER')).toBe(false)
    expect(stage.world.journal.bytes().includes('column "bad"')).toBe(true)
  })
})

it('what FETCH and EXECUTE give back of what was declared and prepared', async () => {
  const stage = await open()
  stage.server.answer(/^(FETCH|EXECUTE)/, rows(['asked'], [['MARKER']]))
  const client = await stage.client()
  await client.query('BEGIN')
  await client.query("DECLARE c CURSOR FOR SELECT 'marker' FROM customers WHERE email = 'marker'")
  await client.query('FETCH c')
  await client.query("PREPARE p AS SELECT 'marker' FROM customers WHERE email = 'marker'")
  await client.query('EXECUTE p')
  expect(isFree(stage, 'marker')).toBe(true)
  expect(stage.world.journal.bytes().includes('MARKER')).toBe(false)
  expect(recorded(stage).map(({ text }) => text)).toContain('FETCH c')
})

it('names that are values, wherever they are said again', async () => {
  const stage = await open()
  const client = await stage.client()
  await client.query('BEGIN')
  await client.query(`DECLARE "marker" CURSOR FOR SELECT id FROM customers WHERE email = 'marker'`)
  await client.query('FETCH "marker"')
  await client.query('CLOSE "marker"')
  await client.query('SELECT id FROM orders')
  expect(isFree(stage, 'marker')).toBe(true)
  expect(recorded(stage).at(-1)?.text).toBe('SELECT id FROM orders')
})

it('plans, however a value is written in them, and long values in pieces', async () => {
  const stage = await open()
  stage.server.answer(/^EXPLAIN/, rows(['QUERY PLAN'], [["Filter: (email = 'o''Brien'::text)"]]))
  stage.server.answer(/asked/, rows(['asked'], [['Brien'.repeat(60_000)]]))
  const client = await stage.client()
  await client.query("EXPLAIN SELECT id FROM customers WHERE email = 'o''Brien'")
  const asked = 'SELECT $1 AS asked, count(*) FROM customers WHERE email = $1'
  await client.say([parse(asked), bind({ values: ['Brien'.repeat(60_000)] }), execute(), sync])
  expect(stage.world.journal.bytes().includes('Brien')).toBe(false)
})

it('results that give a value back, however far it is', async () => {
  const stage = await open()
  stage.server.answer(/AS asked/, rows(['asked'], [['MARKER-echo']]))
  stage.server.answer(/SELECT note/, rows([FIELDS.note], [['5']]))
  const client = await stage.client()
  await client.query("SELECT 'marker-echo' AS asked FROM customers WHERE email = 'marker-echo'")
  await client.query("SELECT note FROM customers WHERE email = 'marker-echo'")
  expect(isFree(stage, 'marker')).toBe(true)
  expect(stage.world.journal.bytes().includes('MARKER')).toBe(false)
  const opener = new FieldOpener(testKeys)
  const [echo, other] = stage.world.entries('outcome')
  if (echo === undefined || other === undefined) throw new Error('not recorded')
  expect(echo.head).toMatchObject({ sealed: ['pii.email'] })
  expect(opener.shown(echo, () => false)).not.toHaveProperty('body')
  const shown = opener.shown(echo, () => true)
  expect('body' in shown && Buffer.from(shown.body ?? '').includes('MARKER-echo')).toBe(true)
  expect(other.head).not.toHaveProperty('sealed')
})

it('nothing is sealed on a connection without labels, nor where no labelled column is met', async () => {
  const plain = await open({ labelled: false })
  await (await plain.client()).query("SELECT id FROM customers WHERE email = 'plain'")
  const labelled = await open()
  await (await labelled.client()).query("SELECT email FROM customers WHERE note = 'plain' -- remark")
  for (const stage of [plain, labelled]) {
    const [head] = stage.world.entries('intent')
    expect(head?.head).not.toHaveProperty('sealed')
    expect(recorded(stage)[0]?.text).toContain("'plain'")
  }
})

it('what the gateway itself tells of earlier commands, in both protocols', async () => {
  const stage = await open()
  const client = await stage.client()
  await client.query("DO $$ BEGIN PERFORM 'marker-denied'; END $$")
  const told = await client.query('SELECT statement FROM sluice.recent_denials')
  const cells = told.flatMap((each) => (each.kind === 'dataRow' ? each.cells : []))
  expect(cells.map(String)).toEqual([expect.stringContaining('marker-denied')])
  await client.say([parse('SELECT statement FROM sluice.recent_denials'), bind(), execute(), sync])
  await client.query("SELECT * FROM sluice.recent_denials WHERE statement = 'marker-asked'")
  const sealed = stage.world.entries('outcome').map(({ head }) => 'sealed' in head && head.sealed)
  expect(sealed.filter((labels) => labels !== false)).toHaveLength(3)
  const { journal } = stage.world
  expect(journal.bytes().includes('marker')).toBe(false)
  expect(isFree(stage, 'marker')).toBe(true)
})
