import type { Client } from 'pg'
import { GatewayError } from '../../../core/index.ts'
import type { Common } from '../../context.ts'
import { dsnOf, giveBack, mint } from '../../credentials.ts'
import { programVersion } from '../../../composition/version.ts'
import type { CopiedRelation, Definitions } from './definitions.ts'
import { make, readDefinitions } from './definitions.ts'
import { fill } from './fill.ts'
import type { Asked } from './labels.ts'
import { explained, isHeld, labelledColumns, shownColumns } from './labels.ts'
import { Line } from './line.ts'
import { Markers } from './markers.ts'
import type { Place, Probe } from './probes.ts'
import { probesFor } from './probes.ts'
import { connect, inDatabase, openScratch } from './scratch.ts'
import type { Summary } from './summary.ts'

export type ProveRequest = {
  readonly common: Common
  readonly connection: string
  readonly as: string
  readonly for?: string | undefined
  /** Of a role that may read the schema and make the copy. */
  readonly dsn: string
  readonly database?: string | undefined
  readonly scratch: string
  readonly random: () => number
  readonly at: Date
}

/** What the gateway refuses by itself has this class of SQLSTATEs; of these, one waits for somebody. */
const REFUSED = /^SL/
const PENDING = 'SL002'

export async function prove(request: ProveRequest): Promise<Summary> {
  const { connection, scratch, dsn } = request
  const database = request.database ?? decodeURIComponent(new URL(dsn).pathname.slice(1))
  if (database === '' || database === scratch) {
    throw new GatewayError('invalid', 'Name two databases: one whose schema is copied, and one for the copy.')
  }
  const asked: Asked = {
    common: request.common,
    connection,
    as: request.as,
    for: request.for,
    database: scratch,
  }
  const source = await connect(inDatabase(dsn, database))
  try {
    const definitions = await readDefinitions(source)
    const copy = await openScratch(source, dsn, scratch)
    try {
      return await proveOn(copy.client, definitions, asked, { ...request, database })
    } finally {
      await copy.close()
    }
  } finally {
    await source.end()
  }
}

async function proveOn(
  client: Client,
  definitions: Definitions,
  asked: Asked,
  request: ProveRequest & { readonly database: string },
): Promise<Summary> {
  await client.query('SET check_function_bodies = off')
  const before = await make(
    client,
    definitions.all.filter(({ when }) => when === 'before'),
  )
  const tables = definitions.relations.filter(({ kind }) => kind !== 'view')
  const there = await existing(client)
  const real = await labelledColumns({ ...asked, database: request.database }, definitions.relations)
  const markers = new Markers(request.random)
  const prober = new Prober(request, asked, markers)
  for (const table of tables.filter(({ name }) => there.has(name))) {
    const { name, kind } = table
    const labelled = real.get(name) ?? []
    const shown = await shownColumns(asked, table, labelled)
    const filled = await fill(
      client,
      { name, kind: kind === 'partitioned' ? kind : 'table', columns: table.columns, masks: shown.masks },
      markers,
    )
    prober.noteTable(table, { labelled, seen: shown.seen, filled })
  }
  const after = await make(client, [...before, ...definitions.all.filter(({ when }) => when === 'after')])
  await openToAll(client)
  const copied = await existing(client)
  await prober.begin()
  try {
    for (const relation of definitions.relations.filter(({ name }) => copied.has(name))) {
      const labelled = real.get(relation.name) ?? []
      if (relation.kind === 'view' && labelled.length > 0) {
        const { seen } = await shownColumns(asked, relation, labelled)
        prober.noteView(relation, labelled, seen)
      }
    }
    return await prober.run({
      schema: definitions.digest,
      relations: copied.size,
      notCopied: after.map(({ name, code }) => `${name} (${code})`),
    })
  } finally {
    await prober.end()
  }
}

/** The gateway's role may have no rights of its own here; with all rights the copy is as open as can be. */
async function openToAll(client: Client): Promise<void> {
  const { rows } = await client.query<{ schema: string }>(
    "SELECT quote_ident(nspname) AS schema FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'",
  )
  for (const { schema } of rows) {
    await client.query(`GRANT ALL ON SCHEMA ${schema} TO PUBLIC`)
    await client.query(`GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO PUBLIC`)
  }
}

async function existing(client: Client): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'",
  )
  return new Set(rows.map(({ name }) => name))
}

type Target = Place & { readonly name: string; readonly kind: 'table' | 'view' }

/** Tries every probe at every column, at the server itself and through the gateway. */
class Prober {
  readonly #request: ProveRequest & { readonly database: string }
  readonly #asked: Asked
  readonly #markers: Markers
  readonly #targets: Target[] = []
  readonly #marked: string[] = []
  readonly #seen: string[] = []
  readonly #unmarked: string[] = []
  readonly #counts = { run: 0, telling: 0, refused: 0, held: 0, masked: 0, leaked: 0, failed: 0 }
  readonly #leaks: string[] = []
  /** By probe and kind of relation: whether it would wait for an approval. */
  readonly #held = new Map<string, boolean>()
  #direct: Line | undefined
  #through: Line | undefined
  #credential: Awaited<ReturnType<typeof mint>> | undefined

  constructor(request: ProveRequest & { readonly database: string }, asked: Asked, markers: Markers) {
    this.#request = request
    this.#asked = asked
    this.#markers = markers
  }

  noteTable(
    table: CopiedRelation,
    { labelled, seen, filled }: Readonly<Record<'labelled' | 'seen' | 'filled', readonly string[]>>,
  ): void {
    for (const column of table.columns) {
      if (!labelled.includes(column.name)) continue
      const name = `${table.name}.${column.quoted}`
      if (seen.includes(column.name)) this.#seen.push(name)
      else if (filled.includes(column.name)) {
        this.#marked.push(name)
        this.#targets.push({ name, column: column.quoted, relation: table.name, kind: 'table' })
      } else this.#unmarked.push(name)
    }
  }

  noteView(view: CopiedRelation, labelled: readonly string[], seen: readonly string[]): void {
    for (const { name, quoted } of view.columns) {
      if (!labelled.includes(name) || seen.includes(name)) continue
      this.#targets.push({
        name: `${view.name}.${quoted}`,
        column: quoted,
        relation: view.name,
        kind: 'view',
      })
    }
  }

  async begin(): Promise<void> {
    const { common, connection, as, scratch, dsn } = this.#request
    const options = { data: common.data, as, ttl: '1h', database: scratch }
    const behalf = this.#request.for === undefined ? {} : { for: this.#request.for }
    this.#credential = await mint(connection, 'database', { ...options, ...behalf })
    this.#through = new Line(dsnOf(this.#credential))
    this.#direct = new Line(inDatabase(dsn, scratch))
  }

  async end(): Promise<void> {
    await this.#direct?.end()
    await this.#through?.end()
    if (this.#credential !== undefined)
      await giveBack(this.#credential, { ...this.#request.common, as: this.#request.as })
  }

  async run(found: Pick<Summary, 'schema' | 'relations' | 'notCopied'>): Promise<Summary> {
    const { connection, database, scratch, at } = this.#request
    const { identity, policyVersion } = await explained(this.#asked, 'SELECT 1')
    for (const target of this.#targets)
      for (const probe of probesFor(target.kind)) await this.#try(probe, target)
    return {
      kind: 'sluice policy prove',
      version: 1,
      program: programVersion(),
      at: at.toISOString(),
      connection,
      database,
      scratchDatabase: scratch,
      identity,
      policyVersion,
      ...found,
      marked: this.#marked,
      seen: this.#seen,
      unmarked: this.#unmarked,
      counts: this.#counts,
      leaks: this.#leaks,
    }
  }

  async #try(probe: Probe, target: Target): Promise<void> {
    if (this.#direct === undefined || this.#through === undefined) return
    const statements = probe.sql(target)
    if (await this.#wouldWait(probe, target, statements)) {
      this.#counts.held++
      return
    }
    const counts = this.#counts
    counts.run++
    const straight = await this.#direct.ask(statements, probe.way, probe.tidy)
    const telling = this.#markers.find(straight.bytes).length > 0
    const answer = await this.#through.ask(statements, probe.way, probe.tidy)
    const leaks = this.#markers.find(answer.bytes).length > 0
    if (leaks) {
      counts.leaked++
      this.#leaks.push(`${probe.id}: ${target.name}`)
    }
    if (!telling) return
    counts.telling++
    if (leaks) return
    if (answer.silent || answer.code === PENDING) counts.held++
    else if (answer.code !== undefined && REFUSED.test(answer.code)) counts.refused++
    else if (answer.code !== undefined && straight.code === undefined) counts.failed++
    else counts.masked++
  }

  /** Asked once for each probe and kind: an approval that nobody wants would be waiting for somebody otherwise. */
  async #wouldWait(probe: Probe, target: Target, statements: readonly string[]): Promise<boolean> {
    const key = `${target.kind} ${probe.id}`
    const known = this.#held.get(key) ?? (await isHeld(this.#asked, statements))
    this.#held.set(key, known)
    return known
  }
}
