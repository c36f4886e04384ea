/** Whoever approves is told under what a command would run, on the wire. */
import { afterEach, expect, it } from 'vitest'
import { identityKey, MOVED_WARNING } from '../../../core/index.ts'
import { done } from '../../../testing/fake-postgres-answers.ts'
import { answerUsual, PostgresStage, query } from '../../../testing/postgres-stage.ts'
import { APPROVER, until } from '../../../testing/world.ts'

const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

const RULES = `  - name: agents ask
    who: { kinds: [agent] }
    on: all
    permit: { run: all, unreviewed: [read, administer] }
`
const ONE = "UPDATE orders SET state = 'sent' WHERE id = 1"

async function held(...before: string[]) {
  const stage = await PostgresStage.open({ rules: RULES, labelled: false })
  stages.push(stage)
  answerUsual(stage.server)
  stage.server.answer(/^SET/, done('SET'))
  const client = await stage.client()
  for (const text of before) await client.query(text)
  const from = client.heard.length
  client.write(query(ONE))
  await until('it is held', () => stage.world.waiting().length === 1)
  const [ticket] = stage.world.waiting()
  if (ticket === undefined) throw new Error('nothing waits')
  return { stage, client, from, ticket, asked: stage.world.approvals.get(ticket) }
}

it('says the database, and that a session has changed nothing', async () => {
  const { asked } = await held()
  expect(asked?.under).toMatchObject({ database: 'crm', changes: [], moved: false })
  expect(asked?.warnings ?? []).not.toContain(MOVED_WARNING)
})

it('says what the session has set, and warns where names may be others', async () => {
  const { asked } = await held('SET search_path = s3', "SET app.tenant = 'evil'")
  expect(asked?.under).toMatchObject({
    changes: ['search_path = s3', 'app.tenant = evil'],
    moved: true,
  })
  expect(asked?.warnings).toContain(MOVED_WARNING)
})

it.each([
  ['Not without\na key', `person:ada refused it, with the reason: "Not without\\na key".`],
  [undefined, 'person:ada refused it and gave no reason.'],
])('tells who asked who refused, and why: %j', async (reason, words) => {
  const { stage, client, from, ticket } = await held()
  const proof = { chain: [APPROVER], at: stage.world.clock.now(), method: 'code' } as const
  await stage.world.approvals.answer(ticket, {
    verdict: 'refuse',
    proof,
    through: 'test',
    ...(reason === undefined ? {} : { reason }),
    muteMs: 60_000,
  })
  const heard = await client.hear(from)
  const hint = words.replace('person:ada', identityKey(APPROVER))
  expect(JSON.stringify(heard)).toContain(JSON.stringify(hint).slice(1, -1))
  expect(JSON.stringify(heard)).toContain(`Change it: an approver refused ${ticket}; nothing was run.`)
  expect(JSON.stringify(heard)).not.toContain('Do not retry')
  // Muted, whoever asks again hears the same.
  const again = await (await stage.client()).query(ONE)
  expect(JSON.stringify(again)).toContain(JSON.stringify(hint).slice(1, -1))
})
