import type { Command } from 'commander'
import { Option } from 'commander'
import { z } from 'zod'
import { GatewayError, shownJson } from '../../core/index.ts'
import { safe } from '../../recording/index.ts'
import type { ResultCell, ResultColumn } from '../../results/index.ts'
import { resultParts } from '../../results/index.ts'
import type { Common } from '../context.ts'
import { UsageError } from '../context.ts'
import type { ShownEntry } from './entries.ts'
import { entriesOf } from './entries.ts'
import { ocsfEvents } from './ocsf.ts'
import { KeptResults, scenes } from './scenes.ts'

type ExportFlags = Common & { readonly format: Format; readonly command?: string; readonly result?: string }
type Format = 'jsonl' | 'csv' | 'asciicast' | 'ocsf'

const numbered = z.looseObject({ n: z.number() })
const outcome = z.looseObject({ n: z.number(), unkept: z.number() })

export function addExport(group: Command): void {
  group
    .command('export')
    .argument('<id>', 'a session')
    .description('write a recording to standard output in the format of another tool')
    .addOption(
      new Option(
        '--format <format>',
        'jsonl: every entry, one a line; csv: the rows of one result; asciicast: a replay, version 2; ocsf: one event a command',
      )
        .choices(['jsonl', 'csv', 'asciicast', 'ocsf'] satisfies Format[])
        .makeOptionMandatory(),
    )
    .option('--command <n>', 'csv: of this command')
    .option('--result <k>', 'csv: the k-th result of a command with several')
    .action(async (id: string, flags: ExportFlags) => {
      if (flags.format !== 'csv' && (flags.command !== undefined || flags.result !== undefined))
        throw new UsageError('--command and --result are for --format csv.')
      const needsResults = flags.format !== 'ocsf'
      const entries = entriesOf(flags, id, 'export', needsResults)
      for await (const line of LINES[flags.format](entries, id, flags)) {
        // A reader that is slower than the recording must not fill our memory.
        if (!process.stdout.write(line)) await new Promise((resolve) => process.stdout.once('drain', resolve))
      }
    })
}

type Lines = (
  entries: AsyncIterable<ShownEntry>,
  session: string,
  flags: ExportFlags,
) => AsyncGenerator<string>

const LINES = { jsonl, csv, asciicast, ocsf: ocsfLines } as const satisfies Record<Format, Lines>

async function* jsonl(entries: AsyncIterable<ShownEntry>, session: string): AsyncGenerator<string> {
  for await (const { sequence, time, kind, head, body, erased } of entries)
    yield `${shownJson({ session, sequence, time: new Date(time).toISOString(), kind, head, body, erased })}\n`
}

async function* ocsfLines(entries: AsyncIterable<ShownEntry>, session: string): AsyncGenerator<string> {
  for await (const event of ocsfEvents(entries, session)) yield `${shownJson(event)}\n`
}

/** https://docs.asciinema.org/manual/asciicast/v2/: a header, then what is written to a terminal at which second. */
async function* asciicast(entries: AsyncIterable<ShownEntry>, session: string): AsyncGenerator<string> {
  let first: number | undefined
  for await (const { time, text } of scenes(entries, CAST_ROWS)) {
    if (first === undefined) {
      first = time
      const header = {
        version: 2,
        width: 132,
        height: 40,
        timestamp: Math.floor(time / 1000),
        title: session,
      }
      yield `${shownJson(header)}\n`
    }
    yield `${shownJson([(time - first) / 1000, 'o', `${text}\n`.replaceAll('\n', '\r\n')])}\n`
  }
}

const CAST_ROWS = 50

/** RFC 4180; NULL is an empty field, an empty text is `""`, bytes are `\x` and hexadecimal, as the server's own CSV has it. */
async function* csv(
  entries: AsyncIterable<ShownEntry>,
  session: string,
  flags: ExportFlags,
): AsyncGenerator<string> {
  const n = wholeNumber(flags.command, '--command')
  if (n === undefined) throw new UsageError('Say whose result: --command N.')
  const wanted = wholeNumber(flags.result, '--result')
  const { protocol, bytes, unkept, erased } = await resultOf(entries, session, n)
  if (erased) {
    throw new GatewayError('not_found', `The result of command ${n} was erased.`, {
      remedy: `When, by whom and why: sluice audit log --action recording.removed --target ${session}`,
    })
  }
  let results = 0
  let rows = 0
  const isWanted = (): boolean => wanted === undefined || results === wanted
  for (const part of resultParts(protocol, bytes)) {
    if (part.kind === 'columns') {
      results++
      if (wanted === undefined && results > 1) {
        throw new GatewayError('invalid', `Command ${n} has several results.`, {
          remedy: 'Say which one: --result 1, --result 2, and so on.',
        })
      }
      if (isWanted()) yield `${headerOf(part.columns)}\r\n`
    } else if (part.kind === 'row' && isWanted()) {
      rows++
      yield `${part.cells.map(field).join(',')}\r\n`
    }
  }
  if (results === 0 || (wanted !== undefined && wanted > results))
    throw new GatewayError('not_found', `Command ${n} of this session has no such result with rows.`)
  if (unkept > 0)
    process.stderr.write(
      `Incomplete: ${unkept} bytes of the result were not kept; these are its first ${rows} rows.\n`,
    )
}

async function resultOf(entries: AsyncIterable<ShownEntry>, session: string, n: number) {
  const results = new KeptResults()
  let [found, erased] = [false, false]
  for await (const entry of entries) {
    if (entry.kind === 'open') results.take(entry)
    const of = numbered.safeParse(entry.head)
    if (!of.success || of.data.n !== n) continue
    found = true
    results.take(entry)
    erased ||= entry.erased?.includes('body') === true
    if (entry.kind !== 'outcome') continue
    const { bytes, left } = results.end(n)
    return { protocol: results.protocol, bytes, unkept: outcome.parse(entry.head).unkept + left, erased }
  }
  if (found) return { protocol: results.protocol, bytes: results.end(n).bytes, unkept: 0, erased }
  throw new GatewayError('not_found', `Session ${session} has no command ${n}.`)
}

function headerOf(columns: readonly ResultColumn[]): string {
  return columns.map(({ name }, index) => field(name === '' ? `column ${index + 1}` : name)).join(',')
}

function field(value: ResultCell): string {
  if (value === null) return ''
  // On a terminal what is written acts; in a file or a pipe it is data.
  const cell = process.stdout.isTTY ? safe(value) : value
  return cell === '' || /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}

function wholeNumber(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new UsageError(`${option} takes a number from 1, not ${JSON.stringify(text)}.`)
}
