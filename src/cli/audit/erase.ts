import type { Command } from 'commander'
import { z } from 'zod'
import { PAYLOAD_KINDS } from '../../recording/index.ts'
import type { Common } from '../context.ts'
import { call, print, UsageError } from '../context.ts'
import { collected } from './keys.ts'

type EraseFlags = Common & {
  readonly payloads: string
  readonly label: readonly string[]
  readonly reason: string
}

const answer = z.object({
  session: z.string(),
  state: z.enum(['erased', 'nothing', 'waiting', 'held']),
  removed: z.array(z.object({ payload: z.string(), frames: z.string(), count: z.number() })),
})

/** For scripts: what was asked for is not done yet, and will be without being asked again. */
const WAITING = 3

export function addEraseCommand(group: Command): void {
  group
    .command('erase')
    .argument('<session[/sequence]>', 'a session that has ended, or one entry of it')
    .description(
      'take payloads out of a recording for good: its entries and their proof stay. Refused under legal hold',
    )
    .requiredOption('--payloads <names>', `all, or some of ${PAYLOAD_KINDS.join(',')}`)
    .option(
      '--label <name>',
      'only what may hold values of this label; may be given more than once',
      collected,
      [],
    )
    .requiredOption('--reason <text>', 'stands in the recording for good: the number of a request, no names')
    .action(erase)
}

async function erase(what: string, flags: EraseFlags): Promise<void> {
  const [, session, digits] = /^([0-9A-Z]{26})(?:\/([1-9][0-9]{0,15}))?$/.exec(what) ?? []
  if (session === undefined)
    throw new UsageError('Write SESSION or SESSION/SEQUENCE, such as 01KG9YS7G0WZ1PM1Z6QPQ83PSD/17.')
  const payloads = kindsIn(flags.payloads)
  const body = {
    reason: flags.reason,
    ...(payloads === undefined ? {} : { payloads }),
    ...(digits === undefined ? {} : { sequence: Number(digits) }),
    ...(flags.label.length === 0 ? {} : { labels: flags.label }),
  }
  const done = await call(flags, answer, 'POST', `/v1/sessions/${session}/erasures`, body)
  print(flags, done, () => text(done))
  if (done.state === 'waiting' || done.state === 'held') process.exitCode = WAITING
}

function kindsIn(text: string): string[] | undefined {
  if (text === 'all') return undefined
  const names = text.split(',').map((each) => each.trim())
  const wrong = names.find((each) => !PAYLOAD_KINDS.some((kind) => kind === each))
  if (wrong === undefined) return names
  throw new UsageError(
    `--payloads takes all, or some of ${PAYLOAD_KINDS.join(',')}; not ${JSON.stringify(wrong)}.`,
  )
}

function text({ session, state, removed }: z.output<typeof answer>): string {
  switch (state) {
    case 'erased':
      return [
        `Erased from ${session}:`,
        ...removed.map(({ payload, frames, count }) => `  ${payload} of ${count} entries: ${frames}`),
        'Entries and proof stay, and the recording says what was erased, by whom and why.',
      ].join('\n')
    case 'nothing':
      return `There is no such payload in ${session} (any more).`
    case 'waiting':
      return `Accepted: the journal still holds ${session}, and it is erased as soon as that has gone.`
    case 'held':
      return `Accepted, and a legal hold has come since: it is erased when that has ended.`
  }
}
