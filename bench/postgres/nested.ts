/**
 * Ten sessions that send deeply nested SQL, 60 KiB each time, one after another, never the same text twice: whoever
 * reads it has to do all the work each time. Refusals count as answers. Coordinates come as PGHOST and so on; runs
 * until it is ended, and prints the number of answers when asked by a line on standard input.
 */
import { createInterface } from 'node:readline'
import { Client, DatabaseError } from 'pg'

const BYTES = 60 * 1024
const SESSIONS = 10

/** Different kinds of depth, because a parser may be good at one of them. */
const SHAPES: readonly ((n: number) => string)[] = [
  (n) => `SELECT ${'('.repeat(BYTES / 2 - 20)}${n}${')'.repeat(BYTES / 2 - 20)}`,
  (n) => `SELECT ${n}${'+1'.repeat(BYTES / 2 - 20)}`,
  (n) => `SELECT ${n}${nest('(SELECT ', ')', BYTES - 40)}`,
  (n) => `SELECT count(*) FROM staff WHERE id IN (${n}${',1000000'.repeat(BYTES / 8 - 10)})`,
]

function nest(open: string, close: string, bytes: number): string {
  const depth = Math.floor(bytes / (open.length + close.length))
  return `, ${open.repeat(depth)}1${close.repeat(depth)}`
}

if (import.meta.main) {
  let answers = 0
  const work = async (session: number): Promise<never> => {
    const client = new Client()
    client.on('error', () => undefined)
    await client.connect()
    for (let n = session; ; n += SESSIONS) {
      try {
        await client.query(SHAPES[(n - session) % SHAPES.length]?.(n) ?? '')
      } catch (error) {
        // The server has a limit to depth, and a gateway may have one; anything else is a fault.
        if (!(error instanceof DatabaseError)) throw error
      }
      answers++
    }
  }
  const all = Array.from({ length: SESSIONS }, (_, session) => work(session))
  console.log('ready')
  createInterface({ input: process.stdin }).on('line', () => console.log(String(answers)))
  await Promise.all(all)
}
