import type { Command } from 'commander'
import type { AdminEntry } from '../../audit/index.ts'
import { GatewayError } from '../../core/index.ts'
import { parseVerifierKey, nodeSha256 } from '../../evidence/index.ts'
import type { Common } from '../context.ts'
import { print, UsageError } from '../context.ts'
import { facts, instant, listing } from '../table.ts'
import { parseTime } from '../times.ts'
import { collected, readGiven } from './keys.ts'

type LogFlags = Common & {
  readonly key: readonly string[]
  readonly keyFile?: string
  readonly action?: string
  readonly by?: string
  readonly target?: string
  readonly since?: string
  readonly until?: string
  readonly limit: string
}

const LIMIT_MAX = 100_000
/** Keys, one a line. */
const KEYS_BYTES_MAX = 64 * 1024

export function addLogCommand(group: Command): void {
  group
    .command('log')
    .argument('[sequence]', 'one entry, by its sequence number')
    .description(
      'what was done to the gateway and its recordings: administrative entries, newest last; --data names the recording',
    )
    .option('--action <name>', 'such as recording.removed; with .* at its end all below a name')
    .option('--by <who>', 'who did it, such as person:ada')
    .option('--target <what>', 'what it was done to, such as a session')
    .option('--since <time>', '2h or 7d ago, 2026-11-27, 2026-11-27T10:00Z')
    .option('--until <time>', 'before then, written the same way')
    .option('--limit <count>', 'the newest so many', '100')
    .option('--key <vkey>', 'the public key of the log, which must have signed it', collected, [])
    .option('--key-file <file>', 'public keys of the log, one a line')
    .action(async (sequence: string | undefined, flags: LogFlags) => {
      if (sequence === undefined) await list(flags)
      else await showOne(sequence, flags)
    })
}

async function list(flags: LogFlags): Promise<void> {
  const limit = numberOf(flags.limit, '--limit', LIMIT_MAX)
  const wanted = filterOf(flags)
  const found: AdminEntry[] = []
  let left = 0
  for await (const each of entriesOf(flags)) {
    if (!wanted(each)) continue
    found.push(each)
    if (found.length > limit) left += found.splice(0, found.length - limit).length
  }
  print(flags, { entries: found, left }, () => {
    const rows = found.map((each) => [
      String(each.sequence),
      instant(each.time),
      each.action,
      each.by,
      each.target ?? '',
      detailsText(each),
    ])
    const columns = [
      { title: 'ENTRY', right: true },
      { title: 'TIME' },
      { title: 'ACTION' },
      { title: 'BY' },
      { title: 'TARGET' },
      { title: 'DETAILS' },
    ]
    const more = left === 0 ? '' : `\n${left} older ones are not shown: --limit`
    return `${listing(columns, rows, 'No such administrative entry.')}${more}`
  })
}

async function showOne(text: string, flags: LogFlags): Promise<void> {
  const sequence = numberOf(text, 'The number of an entry', Number.MAX_SAFE_INTEGER)
  for await (const each of entriesOf(flags)) {
    if (each.sequence !== sequence) continue
    print(flags, each, () =>
      facts([
        ['entry', String(each.sequence)],
        ['in the log', `number ${each.entry}`],
        ['time', new Date(each.time).toISOString()],
        ['action', each.action],
        ['by', each.by],
        ...(each.target === undefined ? [] : [['target', each.target] as const]),
        ...Object.entries(each.details).map(([name, value]) => [name, String(value)] as const),
      ]),
    )
    return
  }
  throw new GatewayError('not_found', `The log has no administrative entry ${sequence}.`)
}

async function* entriesOf(flags: LogFlags): AsyncGenerator<AdminEntry> {
  const audit = await import('../../audit/index.ts')
  const inFile =
    flags.keyFile === undefined ? [] : readGiven(flags.keyFile, KEYS_BYTES_MAX).toString().split('\n')
  const texts = [...flags.key, ...inFile].map((each) => each.trim())
  const keys = texts
    .filter((each) => each !== '' && !each.startsWith('#'))
    .map((each) => parseVerifierKey(nodeSha256, each))
  if (keys.length === 0)
    process.stderr.write('note: without --key this is what the data directory says, signed by whoever\n')
  const source = audit.directoryAuditSource(flags.data)
  yield* audit.adminEntries({ source, primitives: audit.nodePrimitives, keys })
}

function filterOf({ action, by, target, since, until }: LogFlags): (entry: AdminEntry) => boolean {
  const from = since === undefined ? Number.NEGATIVE_INFINITY : parseTime(since)
  const before = until === undefined ? Number.POSITIVE_INFINITY : parseTime(until)
  const prefix = action?.endsWith('.*') === true ? action.slice(0, -1) : undefined
  return (each) =>
    (action === undefined ||
      each.action === action ||
      (prefix !== undefined && each.action.startsWith(prefix))) &&
    (by === undefined || each.by === by) &&
    (target === undefined || each.target === target) &&
    each.time >= from &&
    each.time < before
}

function detailsText({ details }: AdminEntry): string {
  return Object.entries(details)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ')
}

function numberOf(text: string, what: string, max: number): number {
  const number = Number(text)
  if (/^[1-9]\d{0,15}$/.test(text) && number <= max) return number
  throw new UsageError(`${what} is a number from 1 to ${max}, not ${JSON.stringify(text)}.`)
}
