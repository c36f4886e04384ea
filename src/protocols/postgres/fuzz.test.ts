import { describe as group, expect, it } from 'vitest'
import { randomFrom, seed, tally, times } from '../../../test/support/proof.ts'
import { fails } from '../../testing/fake-postgres-answers.ts'
import { turns } from '../../testing/pipe-pair.ts'
import {
  answerUsual,
  bind,
  CANARIES,
  close,
  describe,
  execute,
  parse,
  PostgresStage,
  query,
  sync,
} from '../../testing/postgres-stage.ts'
import { until } from '../../testing/world.ts'
import { encodeClient } from '../../wire/postgres/index.ts'

const READ = 'SELECT id, email, note, secret FROM customers'

/** Conversations as clients have them; what is made of them by chance is what nobody thought of. */
const CONVERSATIONS = [
  encodeClient(query(READ), query('SELECT 1'), query('DROP TABLE customers')),
  encodeClient(parse(READ), bind(), describe('portal'), execute('', 1), execute(), sync),
  encodeClient(
    parse(READ, 's'),
    describe('statement', 's'),
    sync,
    bind({ statement: 's', binary: true }),
    execute(),
    sync,
    close('statement', 's'),
    parse('SELECT 1', 's'),
    bind({ statement: 's' }),
    execute(),
    sync,
  ),
  encodeClient(
    query('BEGIN'),
    query("UPDATE orders SET state = 'sent'"),
    query('SELECT 7'),
    query('ROLLBACK'),
  ),
  encodeClient(query(`SELECT 1; ${READ}`), parse('SELECT n FROM numbers'), bind(), execute(), sync),
  encodeClient(
    query('COPY orders FROM STDIN'),
    { kind: 'copyData', data: Buffer.from('1\ta\n') },
    { kind: 'copyDone' },
    query('SELECT 1'),
    { kind: 'terminate' },
  ),
] as const

type Random = () => number

function below(random: Random, end: number): number {
  return Math.floor(random() * end)
}

function pick(random: Random): Buffer {
  return CONVERSATIONS[below(random, CONVERSATIONS.length)] ?? CONVERSATIONS[0]
}

/** Bits flipped, bytes replaced, parts left out, said twice, taken from elsewhere, cut off; several times. */
function mutated(random: Random): Buffer {
  let bytes = Buffer.from(pick(random))
  for (let i = 1 + below(random, 4); i > 0 && bytes.length > 0; i--) {
    const at = below(random, bytes.length)
    const to = Math.min(bytes.length, at + 1 + below(random, 40))
    switch (below(random, 7)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << below(random, 8))
        break
      case 1:
        bytes[at] = below(random, 256)
        break
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)])
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)])
        break
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), pick(random), bytes.subarray(at)])
        break
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), pick(random).subarray(below(random, 60))])
        break
      default:
        bytes = bytes.subarray(0, at)
    }
  }
  return bytes
}

/** Sends, in one piece or in pieces, says farewell, and waits for the end. */
async function play(stage: PostgresStage, bytes: Buffer, random: Random): Promise<Buffer> {
  const client = await stage.client()
  const ended = stage.world.entries('close').length
  if (random() < 0.3) {
    const at = below(random, bytes.length + 1)
    client.pipe.write(bytes.subarray(0, at))
    await turns(2)
    client.pipe.write(bytes.subarray(at))
  } else {
    client.pipe.write(bytes)
  }
  await turns(8)
  client.pipe.end()
  await until('the session ends', () => stage.world.entries('close').length > ended, 10_000)
  await turns(5)
  return client.received()
}

group('conversations that went wrong by chance', () => {
  it(`never crash or hang the gateway, show nothing protected and run nothing unrecorded (P-02, P-03, P-04), seed ${seed}`, async () => {
    const count = times({ small: 300, full: 200_000 })
    const random = randomFrom(seed)
    let stage = await open()
    for (let i = 0; i < count; i++) {
      // The fake server keeps everything it hears; start over before that slows everything down.
      if (i % 500 === 499) {
        await stage.close()
        stage = await open()
      }
      const before = stage.server.ran.length
      const first = stage.world.journal.tape.length
      const bytes = mutated(random)
      const why = `conversation ${i} of seed ${seed}: ${bytes.toString('base64')}`
      const received = await play(stage, bytes, random).catch((error: unknown) => {
        throw new Error(why, { cause: error })
      })
      for (const canary of CANARIES) expect(received.includes(canary), why).toBe(false)
      expect(stage.world.reports, why).toEqual([])
      expectEachRecordedFirst(stage, before, first, why)
    }
    const recorded = stage.world.journal.bytes()
    for (const canary of CANARIES) expect(recorded.includes(canary)).toBe(false)
    tally('conversations', count)
    await stage.close()
  })
})

async function open(): Promise<PostgresStage> {
  const stage = await PostgresStage.open()
  answerUsual(stage.server)
  stage.server.answer('SELECT 7', fails('22012', 'division by zero'))
  stage.server.answer('COPY orders FROM STDIN', { kind: 'copyIn', columns: 2 })
  await stage.client()
  return stage
}

/** Every statement the server was asked to run: a permitted intent with its text was written before it left. */
function expectEachRecordedFirst(stage: PostgresStage, before: number, first: number, why: string): void {
  const permitted = new Map<string, number>()
  for (const each of stage.world.journal.tape.slice(first)) {
    if (each.kind !== 'written' || each.entry.kind !== 'intent') continue
    const { decision, text } = each.entry.head
    if (decision !== 'allow') continue
    // What is not UTF-8 is recorded byte by byte, and the fake server shows it in its own way.
    const shown = Buffer.from(text, isLatin(text) ? 'latin1' : 'utf8').toString('utf8')
    permitted.set(shown, (permitted.get(shown) ?? 0) + 1)
  }
  for (const { sql } of stage.server.ran.slice(before)) {
    if (sql.includes('refused by the gateway') || /current_setting\('search_path'\), CURRENT_USER/.test(sql))
      continue
    const left = permitted.get(sql) ?? 0
    expect(left, `${sql} ran without being recorded as permitted; ${why}`).toBeGreaterThan(0)
    permitted.set(sql, left - 1)
  }
}

function isLatin(text: string): boolean {
  return [...text].every((character) => character.charCodeAt(0) < 256)
}
