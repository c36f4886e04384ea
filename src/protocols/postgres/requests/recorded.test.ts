/** Marker values in statements and parameters, and who finds them in what is recorded. */
import { afterEach, expect, it } from 'vitest'
import type { IntentHead } from '../../../core/index.ts'
import { rows } from '../../../testing/fake-postgres-answers.ts'
import { FieldOpener } from '../../../recording/index.ts'
import type { StageOptions } from '../../../testing/postgres-stage.ts'
import { bind, execute, parse, PostgresStage, sync } from '../../../testing/postgres-stage.ts'
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
  if (held !== undefined) await stage.world.answer(held.ticket, 'approve')
  await running
  expect(stage.ran()).toEqual([text])
  expect(recorded(stage)[0]?.text).toBe(
    "UPDATE customers SET email = [sealed pii.email], note = 'moved' WHERE id = 7",
  )
  expect(isFree(stage, 'marker')).toBe(true)
})

it('results that give a value back, however far it is', async () => {
  const stage = await open()
  stage.server.answer(/AS asked/, rows(['asked'], [['MARKER-echo']]))
  stage.server.answer(/length\(note\)/, rows(['length'], [['5']]))
  const client = await stage.client()
  await client.query("SELECT 'marker-echo' AS asked FROM customers WHERE email = 'marker-echo'")
  await client.query("SELECT length(note) FROM customers WHERE email = 'marker-echo'")
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
