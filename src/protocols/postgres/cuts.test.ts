import { describe as group, expect, it } from 'vitest'
import { everyday } from '../../../test/support/fewer.ts'
import { proving, tally } from '../../../test/support/proof.ts'
import { fails } from '../../testing/fake-postgres-answers.ts'
import { turns } from '../../testing/pipe-pair.ts'
import {
  answerUsual,
  bind,
  close,
  describe,
  execute,
  flush,
  parse,
  PostgresStage,
  query,
  script,
  sync,
} from '../../testing/postgres-stage.ts'
import { encodeClient } from '../../wire/postgres/index.ts'

const READ = 'SELECT id, email, note, secret FROM customers'
const DENIED = 'DROP TABLE customers'

/** A conversation with something of everything that does not wait for people. */
const CONVERSATION = encodeClient(
  query('SELECT 1'),
  parse(READ, 's'),
  describe('statement', 's'),
  sync,
  bind({ statement: 's', binary: true }),
  execute('', 1),
  execute('', 1),
  execute(),
  sync,
  bind({ statement: 's', portal: 'p' }),
  describe('portal', 'p'),
  flush,
  execute('p'),
  close('portal', 'p'),
  parse(DENIED),
  bind(),
  execute(),
  sync,
  query('BEGIN'),
  query(DENIED),
  query('SELECT 2'),
  query('ROLLBACK'),
  parse('SELECT 7', 's'),
  sync,
  bind({ statement: 's' }),
  execute(),
  parse('SELECT n FROM numbers'),
  bind(),
  execute(),
  close('statement', 's'),
  sync,
  query('SELEC'),
  parse('SELECT 7'),
  bind(),
  execute(),
  parse('SELECT 3'),
  sync,
  query(`SELECT email FROM customers WHERE id IN (${'1, '.repeat(800)}2)`),
  query('SELECT 4'),
)
const READY_COUNT = 14

/**
 * What the client hears and what the server runs. The bytes upstream may differ: a refusal with nothing outstanding is
 * answered here, one in a pipeline needs a statement that fails in its place; and both end the same.
 */
async function play(
  stage: PostgresStage,
  pieces: readonly Buffer[],
): Promise<{ heard: string; ran: string[] }> {
  const client = await stage.client()
  const from = client.heard.length
  const before = stage.ran().length
  for (const piece of pieces) {
    client.pipe.write(piece)
    await turns(3)
  }
  const heard = script(await client.hear(from, READY_COUNT)).join('\n')
  const ran = stage.ran().slice(before)
  client.leave()
  await turns(5)
  return { heard, ran: ran.filter((sql) => !sql.includes('refused by the gateway')) }
}

async function open(): Promise<PostgresStage> {
  const stage = await PostgresStage.open()
  answerUsual(stage.server)
  stage.server.answer('SELECT 7', fails('22012', 'division by zero'))
  return stage
}

group('a conversation', () => {
  it('means the same wherever its bytes are cut', async () => {
    const stage = await open()
    // Somebody stays, so that the catalogue is not read again and again.
    const idle = await stage.client()
    const whole = await play(stage, [CONVERSATION])
    expect(whole.heard.split('\n').filter((line) => line.startsWith('ready'))).toHaveLength(READY_COUNT)
    const every = proving ? 1 : everyday ? 205 : 41
    // The long statement is text inside one message: cut once or twice it says no more than at every byte.
    const boring = CONVERSATION.indexOf('1, 1, 1, 1, 1, 1') + 20
    let cuts = 0
    for (let at = 1; at < CONVERSATION.length; at += at > boring && at < boring + 2_300 ? 500 : every) {
      const cut = await play(stage, [CONVERSATION.subarray(0, at), CONVERSATION.subarray(at)])
      expect(cut.heard, `cut at ${at}`).toBe(whole.heard)
      expect(cut.ran, `cut at ${at}`).toEqual(whole.ran)
      cuts++
    }
    tally('cuts', cuts)
    expect(idle.ended).toBe(false)
    expect(stage.world.reports).toEqual([])
    await stage.close()
  })

  it('means the same in pieces of every size', async () => {
    const stage = await open()
    const idle = await stage.client()
    const whole = await play(stage, [CONVERSATION])
    for (const size of proving ? [1, 2, 3, 4, 5, 7, 11, 64, 1_000] : everyday ? [1] : [1, 5, 64]) {
      const pieces: Buffer[] = []
      for (let at = 0; at < CONVERSATION.length; at += size) pieces.push(CONVERSATION.subarray(at, at + size))
      const cut = await play(stage, pieces)
      expect(cut.heard, `pieces of ${size}`).toBe(whole.heard)
      expect(cut.ran, `pieces of ${size}`).toEqual(whole.ran)
    }
    expect(idle.ended).toBe(false)
    await stage.close()
  })
})
