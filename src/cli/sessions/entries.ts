import { z } from 'zod'
import { GatewayError } from '../../core/index.ts'
import type { Common } from '../context.ts'
import { operatorClient, queryText } from '../context.ts'

/** One entry of a recording as the API shows it. */
export const entry = z.looseObject({
  sequence: z.number(),
  time: z.number(),
  kind: z.string(),
  head: z.looseObject({}),
  text: z.string(),
  body: z.string().optional(),
  erased: z.array(z.string()).optional(),
})
export type ShownEntry = z.output<typeof entry>

const page = z.object({ entries: z.array(entry), next: z.number().optional() })
const first = z.object({ sessions: z.array(z.looseObject({ session: z.string() })) })

export type Purpose = 'show' | 'replay' | 'export'

/** The entries of a recording, page by page as they are needed. */
export async function* entriesOf(
  flags: Common,
  session: string,
  purpose: Purpose,
  results: boolean,
): AsyncGenerator<ShownEntry> {
  const client = operatorClient(flags)
  try {
    for (let after: number | undefined = 0; after !== undefined; ) {
      const query = queryText({
        after: String(after),
        results: results ? 'true' : undefined,
        purpose: purpose === 'show' ? undefined : purpose,
      })
      const answer: z.output<typeof page> = page.parse(
        await client.call('GET', `/v1/sessions/${encodeURIComponent(session)}${query}`),
      )
      yield* answer.entries
      after = answer.next
    }
  } finally {
    await client.close()
  }
}

/** The newest session. Throws `not_found` when there is none. */
export async function newestSession(flags: Common): Promise<string> {
  const client = operatorClient(flags)
  try {
    const [newest] = first.parse(await client.call('GET', '/v1/sessions?limit=1')).sessions
    if (newest !== undefined) return newest.session
  } finally {
    await client.close()
  }
  throw new GatewayError('not_found', 'No session has been opened yet.')
}
