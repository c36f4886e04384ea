import { styleText } from 'node:util'
import type { Command } from 'commander'
import { z } from 'zod'
import { GatewayError, shownJson } from '../../core/index.ts'
import type { Common } from '../context.ts'
import { operatorClient, queryText } from '../context.ts'
import { eventsIn } from '../event-stream.ts'

type TailFlags = Common & {
  readonly session?: string
  readonly connection?: string
  readonly identity?: string
}

const followed = z.looseObject({ session: z.string().optional(), text: z.string() })
const gap = z.looseObject({ missed: z.number() })

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
