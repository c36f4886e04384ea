/** Runs an attempt against a target and gives back every byte that came. */
import type { Message, Target } from '../differential/raw-client.ts'
import {
  bind,
  copyFail,
  describe,
  execute,
  parse,
  query,
  RawClient,
  sync,
} from '../differential/raw-client.ts'
import type { Attempt } from './attempts.ts'

export const FORMS = ['simple', 'extended', 'binary'] as const
export type Form = (typeof FORMS)[number]

/** The forms that make a difference to this attempt. */
export function formsOf(attempt: Attempt): readonly Form[] {
  return 'raw' in attempt ? ['simple'] : FORMS
}

/** How long an attempt may be without an answer: a conversation that stands still is a finding of its own. */
const ANSWER_MS_MAX = 15_000

export async function run(attempt: Attempt, form: Form, target: Target): Promise<Buffer> {
  const { client, greeting } = await RawClient.open(target)
  const seen: Message[] = [...greeting]
  try {
    if ('raw' in attempt) {
      for (const { bytes, readies } of attempt.raw) {
        client.write(bytes)
        seen.push(...(await client.readUntilReady(readies)))
      }
    } else {
      for (const sql of attempt.sql) {
        client.write(form === 'simple' ? query(sql) : extended(sql, form))
        seen.push(...(await answer(client, attempt.id)))
      }
    }
  } finally {
    await client.close()
  }
  return Buffer.concat(seen.map(({ type, body }) => Buffer.concat([Buffer.from(type, 'latin1'), body])))
}

function extended(sql: string, form: Form): Buffer {
  const format = form === 'binary' ? 1 : 0
  return Buffer.concat([parse('', sql), bind('', '', [], format), describe('P', ''), execute(''), sync()])
}

/** Up to ReadyForQuery, or the end; a COPY that waits for data is failed. */
async function answer(client: RawClient, id: string): Promise<Message[]> {
  const seen: Message[] = []
  const deadline = Date.now() + ANSWER_MS_MAX
  for (;;) {
    const part = await client.readUntilType('ZG')
    seen.push(...part)
    if (part.at(-1)?.type !== 'G') return seen
    client.write(copyFail('no data'))
    if (Date.now() > deadline) throw new Error(`${id} went on for ${ANSWER_MS_MAX} ms`)
  }
}
