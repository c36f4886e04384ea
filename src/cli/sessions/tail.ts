import { styleText } from 'node:util'
import type { Command } from 'commander'
import { z } from 'zod'
import { GatewayError, shownJson } from '../../core/index.ts'
import type { Common } from '../context.ts'
import { operatorClient, queryText } from '../context.ts'

type TailFlags = Common & {
  readonly session?: string
  readonly connection?: string
  readonly identity?: string
}

const followed = z.looseObject({ session: z.string().optional(), text: z.string() })
const gap = z.looseObject({ missed: z.number() })

/** One event; the gateway's longest entry is a statement, its parameters and their text. */
const EVENT_CHARACTERS_MAX = 512 * 1024 * 1024

export function addTail(group: Command): void {
  group
    .command('tail')
    .description('show entries as they are recorded, until Ctrl-C')
    .option('--session <id>', 'of one session')
    .option('--connection <name>', 'of one connection')
    .option('--identity <identity>', 'with this identity in the chain')
    .action(async (flags: TailFlags) => {
      const client = operatorClient(flags)
      const { session, connection, identity } = flags
      const path = `/v1/sessions/tail${queryText({ session, connection, identity })}`
      try {
        for await (const { event, data } of eventsIn(await client.stream(path))) {
          const line = flags.json === true ? `${shownJson({ event, ...data })}\n` : textOf(event, data)
          if (line !== undefined && !process.stdout.write(line))
            await new Promise((resolve) => process.stdout.once('drain', resolve))
        }
      } finally {
        await client.close()
      }
      throw new GatewayError('upstream_unreachable', 'The gateway has ended the stream.', {
        remedy: 'It is stopping, or somebody has ended it.',
        retry: 'later',
      })
    })
}

function textOf(event: string, data: unknown): string | undefined {
  if (event === 'gap') return `${styleText('yellow', `(${gap.parse(data).missed} entries were missed)`)}\n`
  if (event !== 'entry') return undefined
  const { session = 'administration', text } = followed.parse(data)
  // The end of an id is what tells sessions of one moment apart.
  const who = session.slice(-8).padEnd(8)
  return `${text
    .split('\n')
    .map((line) => `${who}  ${line}`)
    .join('\n')}\n`
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, as the gateway writes it. */
async function* eventsIn(
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<{ readonly event: string; readonly data: Record<string, unknown> }> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true })
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    if (text.length > EVENT_CHARACTERS_MAX)
      throw new GatewayError('limit_exceeded', 'The gateway sent an event that is too long.')
    for (const block of blocks) {
      const event = /^event: (.*)$/m.exec(block)?.[1]
      const data = /^data: (.*)$/m.exec(block)?.[1]
      if (event !== undefined && data !== undefined)
        yield { event, data: z.record(z.string(), z.unknown()).parse(JSON.parse(data)) }
    }
  }
}
