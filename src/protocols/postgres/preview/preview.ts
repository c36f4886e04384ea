import type {
  Clock,
  Command,
  Connection,
  Preview,
  PreviewSample,
  PreviewViewer,
} from '../../../core/index.ts'
import { isGatewayError } from '../../../core/index.ts'
import type { ParseResult, SqlAnalyser } from '../../../sql/index.ts'
import { countableOf, isSameButReturning, returningOf } from '../../../sql/index.ts'
import type { Known } from '../catalogue/catalogue-keeper.ts'
import type { Knowledge } from '../requests/commands.ts'
import { changedTables, CHANGES_QUERY, NOTHING_DEFERRED, rowsIn } from '../requests/changed-rows.ts'
import { formsOf } from '../requests/readings.ts'
import type { InReach } from '../results/results.ts'
import type { PostgresSettings } from '../settings.ts'
import type { FirstRows, UpstreamPorts } from '../startup/upstream.ts'
import { openUpstream, UpstreamClient, UpstreamRefused } from '../startup/upstream.ts'
import { checkReach, refused } from './reach.ts'
import { sampleOf } from './sample.ts'

/** A command as its session has left it. */
export type Previewed = {
  readonly command: Command
  readonly database: string
  /** The settings that its session began with. */
  readonly parameters: ReadonlyMap<string, string>
  /** Where names are looked for in it, where that is known otherwise. */
  readonly searchPath: readonly string[] | undefined
  /** Why it cannot be told what it would do: its session has changed what it means. */
  readonly changed: string | undefined
}

export type PreviewParts = UpstreamPorts & {
  readonly clock: Pick<Clock, 'after' | 'now'>
  readonly analyser: Pick<SqlAnalyser, 'parse' | 'analyse'>
  /** What is known of the database now; undefined on a connection without labels. */
  known(): Promise<{ readonly known: Known; readonly context: Knowledge['context'] } | undefined>
}

/** What the whole may take beyond its statement: logging in, looking at definitions. */
const AROUND_MS = 20_000

const UTF8 = /^'?utf-?8'?$/i

const NOTES = [
  'It was run on a connection of its own: what its session has changed and not committed, and its temporary tables, it did not see.',
  'It was rolled back. Numbers that sequences gave out stay given out.',
] as const

/**
 * Runs a held command on a connection of the gateway's own, counts what it changes, and rolls it back. Throws GatewayError
 * `unsupported` with the reason where it is not known that a rollback undoes all of it.
 */
export async function previewCommand(
  parts: PreviewParts,
  connection: Connection<PostgresSettings>,
  previewed: Previewed,
  viewer: PreviewViewer,
): Promise<Preview> {
  const { settings } = connection
  const { command, changed } = previewed
  if (!settings.preview.enabled) throw refused('this connection does not allow it (preview.enabled)')
  const parsed = await parts.analyser.parse(command.text)
  // Also what was sent inside a transaction: it cannot be counted there, but tried out elsewhere.
  const countable = countableOf(parsed, command.facts)
  if (!countable.can) throw refused(countable.why)
  if (changed !== undefined) throw refused(changed)
  if (!UTF8.test(previewed.parameters.get('client_encoding') ?? 'UTF8'))
    throw refused('its session reads text in another encoding than UTF8')
  const began = parts.clock.now()
  const open = await openUpstream(parts, settings, previewed.database, parametersOf(previewed, settings), 0)
  const client = new UpstreamClient(open)
  const timer = parts.clock.after(AROUND_MS + 2 * settings.preview.timeout, () => open.pipe.destroy())
  try {
    await client.query('BEGIN')
    try {
      await checkReach(client, (text) => parts.analyser.parse(text), parsed, settings.preview.functions)
    } finally {
      await client.query('ROLLBACK')
    }
    const ran = await tried(client, parts, previewed, parsed, settings.preview.rows)
    const sample = ran.first && (await sampled(parts, connection, ran.text, ran.first, viewer))
    const isWithout = ran.first === undefined && ran.failure === undefined
    const notes = isWithout
      ? [...NOTES, 'No rows are shown: the server does not give them back.']
      : [...NOTES]
    if (ran.first !== undefined && sample === undefined)
      notes.push('No rows are shown: it is not known which of their values you may see.')
    const { tables } = ran
    return {
      at: began,
      ms: parts.clock.now() - began,
      ...(tables === undefined ? {} : { rows: rowsIn(tables) }),
      tables: tables ?? [],
      ...(ran.failure === undefined ? {} : { failure: ran.failure }),
      ...(sample === undefined ? {} : { sample }),
      notes,
    }
  } finally {
    timer.cancel()
    client.close()
  }
}

type Tried = {
  readonly text: string
  readonly tables?: ReturnType<typeof changedTables>
  readonly first?: FirstRows | undefined
  readonly failure?: string
}

/** With the rows that it changes if they can be had, else without. */
async function tried(
  client: UpstreamClient,
  parts: PreviewParts,
  previewed: Previewed,
  parsed: ParseResult,
  rowsMax: number,
): Promise<Tried> {
  const { text } = previewed.command
  const shows = rowsMax === 0 ? undefined : await withRows(parts, text, parsed)
  if (shows !== undefined) {
    const ran = await rolledBack(client, previewed, shows, rowsMax)
    // Without it a role may do what it may not be shown, and an older server knows no RETURNING of MERGE.
    if (ran.failure === undefined || shows === text) return ran
  }
  const ran = await rolledBack(client, previewed, text, 1)
  const { first: _first, ...without } = ran
  return without
}

async function rolledBack(
  client: UpstreamClient,
  { command }: Previewed,
  text: string,
  rowsMax: number,
): Promise<Tried> {
  const bound = { values: command.parameters ?? [], ...formsOf(command.readings) }
  await client.query('BEGIN')
  try {
    const before = await client.query(CHANGES_QUERY)
    const first = await client.firstRows(text, bound, rowsMax)
    await client.query(NOTHING_DEFERRED)
    return { text, tables: changedTables(before, await client.query(CHANGES_QUERY), true), first }
  } catch (error) {
    if (!(error instanceof UpstreamRefused)) throw error
    return { text, failure: failureOf(error.fields.code ?? '') }
  } finally {
    await client.query('ROLLBACK')
  }
}

/** What the server says may quote values; its code does not. */
function failureOf(code: string): string {
  if (code === '57014') return 'it took longer than a preview may (preview.timeout)'
  if (code === '55P03')
    return 'it waited for what others have locked longer than a preview may (preview.lockTimeout)'
  const name = CONDITIONS.get(code)
  return `the server refuses it: SQLSTATE ${code}${name === undefined ? '' : `, ${name}`}`
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const CONDITIONS: ReadonlyMap<string, string> = new Map([
  ['23502', 'a value is missing'],
  ['23503', 'a foreign key does not hold'],
  ['23505', 'a value that has to be unique is there already'],
  ['23514', 'a check does not hold'],
  ['42501', 'its role may not do this'],
  ['42P01', 'a table is not there'],
  ['42703', 'a column is not there'],
])

/** The text by which its changed rows come back. Undefined: there is none. */
async function withRows(parts: PreviewParts, text: string, parsed: ParseResult): Promise<string | undefined> {
  switch (returningOf(parsed)) {
    case 'own':
      return text
    case 'impossible':
      return undefined
    case 'none': {
      const more = `${text.trim().replace(/[\s;]+$/, '')}\nRETURNING *`
      return isSameButReturning(parsed, await parts.analyser.parse(more)) ? more : undefined
    }
  }
}

async function sampled(
  parts: PreviewParts,
  { labels }: Connection<PostgresSettings>,
  text: string,
  first: FirstRows,
  viewer: PreviewViewer,
): Promise<PreviewSample | undefined> {
  if (labels.length === 0) return sampleOf(first, undefined, () => false)
  const now = await parts.known()
  if (now === undefined) return undefined
  const facts = parts.analyser.analyse(await parts.analyser.parse(text), now.context)
  const inReach: InReach = (oid) => now.known.reach.has(oid)
  try {
    return sampleOf(first, { facts, masks: viewer.masks(facts), known: now.known }, inReach)
  } catch (error) {
    if (isGatewayError(error)) return undefined
    throw error
  }
}

function parametersOf(
  { parameters, searchPath }: Previewed,
  { preview }: PostgresSettings,
): ReadonlyMap<string, string> {
  const own = new Map(parameters)
  if (searchPath !== undefined)
    own.set('search_path', searchPath.map((each) => `"${each.replaceAll('"', '""')}"`).join(', '))
  own.set('application_name', 'sluice preview')
  own.set('client_encoding', 'UTF8')
  own.set('standard_conforming_strings', 'on')
  own.set('statement_timeout', String(preview.timeout))
  own.set('lock_timeout', String(preview.lockTimeout))
  own.set('idle_in_transaction_session_timeout', String(AROUND_MS))
  return own
}
