import { createHash } from 'node:crypto'
import type { Connection, Timer } from '../../../core/index.ts'
import { GatewayError, isGatewayError, LIMITS } from '../../../core/index.ts'
import type { Beginning, Catalogue } from '../../../sql/index.ts'
import type { Snapshots } from '../../../session/index.ts'
import { readPath } from '../../../sql/index.ts'
import { labelledReach } from './catalogue.ts'
import { buildCatalogue, catalogueQueries, fingerprintQuery, viewsQuery } from './catalogue.ts'
import type { TypeLookup } from '../results/result-types.ts'
import { Database } from './database.ts'
import { type Answer, inOrder, snapshotText } from './snapshot.ts'
import { typeLookup, typesQuery } from '../results/result-types.ts'
import type { PostgresSettings } from '../settings.ts'
import type { UpstreamPorts } from '../startup/upstream.ts'
import { openUpstream, UpstreamClient, UpstreamRefused } from '../startup/upstream.ts'

export type KeeperPorts = UpstreamPorts & {
  readonly clock: { after(ms: number, run: () => void): Timer }
  readonly report: (error: unknown) => void
  /** Where definitions are kept that commands are judged by. Absent: nowhere. */
  readonly snapshots?: Snapshots
}

/** What is known of one database: its catalogue, and which relations labelled values could come from. */
export type Known = {
  readonly catalogue: Catalogue
  readonly reach: ReadonlySet<number>
  /** Which database and which state of its definitions this is. */
  readonly fingerprint: string
  /** The address of the snapshot of its definitions. */
  readonly snapshot: string | undefined
  /** Between two changes of definitions: another one means that what was known then may be so no more. */
  readonly moment: object
  /** Of a session that has changed nothing: where names are looked for, and as whom. */
  readonly beginning: Beginning
  /** How the values of each type are built. */
  readonly types: TypeLookup
}

/** The schemas as they are set, not those of them that there are now: the others may be made at any time. */
export const BEGINNING_QUERY = `SELECT pg_catalog.current_setting('search_path'), CURRENT_USER, SESSION_USER`

/** What `BEGINNING_QUERY` answers. Throws `unsupported` for a path that cannot be read: the server may look anywhere then. */
export function beginningOf(rows: readonly (readonly (string | null)[])[]): Beginning {
  const [path, role, login] = rows[0] ?? []
  if (typeof path !== 'string' || typeof role !== 'string' || typeof login !== 'string')
    throw new Error('the server does not tell its search path')
  const searchPath = readPath(path)
  if (searchPath !== undefined) return { searchPath, role, login }
  throw new GatewayError('unsupported', 'The search path of this session cannot be followed.', {
    remedy:
      'Set one whose schemas are in double quotes, or in ASCII letters, with commas and blanks between them.',
    retry: 'only-if-changed',
  })
}

/**
 * Keeps the catalogue of one database true, over an upstream session of the gateway's own. Stale from the moment a
 * definition command is forwarded until it has been read again; changes made around the gateway are found by a polled
 * fingerprint. While it is stale nobody gets it: who needs it waits, and when it cannot be read, is refused. While a
 * session is about to change definitions, others get it only after it was held against the server once more.
 */
export class CatalogueKeeper {
  readonly #ports: KeeperPorts
  readonly #connection: Connection<PostgresSettings>
  readonly #name: string
  readonly #database: Database
  #known: Known | undefined
  #epoch = 0
  #moment: object = {}
  /** One question at a time: answers come in order, and say not to what. */
  #turn: Promise<unknown> = Promise.resolve()
  #loading: Promise<Known> | undefined
  #client: UpstreamClient | undefined
  #fingerprint = ''
  /** The snapshot in use. */
  #kept: string | undefined
  #users = 0
  /** How often the last of them has left. */
  #leavings = 0
  #timer: Timer | undefined

  constructor(
    ports: KeeperPorts,
    connection: Connection<PostgresSettings>,
    name: string,
    database: Database = new Database(),
  ) {
    this.#ports = ports
    this.#connection = connection
    this.#name = name
    this.#database = database
  }

  /** Undefined: stale, or another session than `by` may change it at any time. */
  current(by?: object): Known | undefined {
    return this.#database.isChangingFor(by) ? undefined : this.#known
  }

  /** Whether nothing has changed since, and nobody but `by` is about to change anything. */
  isCalm(moment: object | undefined, by: object): boolean {
    return moment === this.#moment && !this.#database.isChangingFor(by)
  }

  momentFor(by: object): object | undefined {
    return this.#database.isChangingFor(by) ? undefined : this.#moment
  }

  /** The catalogue as the server has it now, whatever was read before. */
  async checked(): Promise<Known> {
    // What is being read at the moment may be older than the question.
    await this.#loading?.catch(() => undefined)
    const known = this.#known
    if (known !== undefined) {
      const same = (await this.#asked((client) => this.#readFingerprint(client))) === this.#fingerprint
      if (this.#known === known && same) return known
      if (this.#known === known) this.invalidate()
    }
    return this.#read()
  }

  /** The catalogue, read anew if it is stale. Rejects when it cannot be read. */
  ready(by?: object): Promise<Known> {
    if (this.#database.isChangingFor(by)) return this.checked()
    return this.#read()
  }

  #read(): Promise<Known> {
    if (this.#known !== undefined) return Promise.resolve(this.#known)
    if (this.#loading !== undefined) return this.#loading
    const loading = this.#asked((client) => this.#load(client)).finally(() => {
      if (this.#loading === loading) this.#loading = undefined
      // Everybody left meanwhile, so nobody else will end what was opened for them.
      if (this.#users === 0) this.#forget()
    })
    this.#loading = loading
    return loading
  }

  /** Definitions change or may have changed: nobody gets what is known now. */
  invalidate(): void {
    this.#epoch++
    this.#moment = {}
    this.#known = undefined
  }

  /** Over the session that is open; one that the server has ended meanwhile, as some end those that are idle, is opened anew. */
  #asked<T>(work: (client: UpstreamClient) => Promise<T>): Promise<T> {
    const done = this.#turn.then(async () => {
      const { leavings, client } = { leavings: this.#leavings, client: this.#client }
      if (client === undefined) return this.#attempt(work)
      return this.#attempt(work).catch((error: unknown) => {
        if (this.#leavings !== leavings || isRefusal(error)) throw error
        return this.#attempt(work)
      })
    })
    this.#turn = done.catch(() => undefined)
    return done
  }

  async #attempt<T>(work: (client: UpstreamClient) => Promise<T>): Promise<T> {
    const client = await this.#connected()
    try {
      return await work(client)
    } catch (error) {
      this.#drop(client)
      throw error instanceof UpstreamRefused ? untold(error) : error
    }
  }

  /** A session begins to rely on this; `leave` when it ends. Polling goes on as long as anybody does. */
  join(): void {
    this.#users++
    this.#database.join(this)
    if (this.#timer === undefined) this.#poll()
  }

  leave(): void {
    this.#users--
    if (this.#users === 0) this.#forget()
  }

  #forget(): void {
    this.#leavings++
    this.#timer?.cancel()
    this.#timer = undefined
    this.#database.leave(this)
    this.#drop()
    // What is being read over it fails now, for those who have left; who comes next reads for himself.
    this.#loading = undefined
    this.invalidate()
    if (this.#kept !== undefined) this.#ports.snapshots?.release(this.#kept)
    this.#kept = undefined
  }

  async #load(client: UpstreamClient): Promise<Known> {
    for (;;) {
      const epoch = this.#epoch
      const results: (string | null)[][][] = []
      const fingerprint = await this.#readFingerprint(client)
      let complete = true
      for (const query of catalogueQueries) {
        const answer = query === viewsQuery ? await viewsOf(client) : await client.query(query)
        complete &&= answer !== undefined
        results.push(answer ?? [])
      }
      const beginning = beginningOf(await client.query(BEGINNING_QUERY))
      const types = typeLookup(await client.query(typesQuery))
      if (epoch !== this.#epoch) continue
      const answers = inOrder(results)
      const catalogue = buildCatalogue(answers, this.#connection.labels, epoch)
      // On the disk before anybody is judged by it.
      const snapshot = await this.#snapshot(answers)
      if (epoch !== this.#epoch) continue
      // Without the views, the next poll finds it changed.
      this.#fingerprint = complete ? fingerprint : ''
      const state = createHash('sha256')
        .update(JSON.stringify([this.#connection.labels, fingerprint]))
        .digest('hex')
      this.#known = {
        catalogue,
        reach: labelledReach(catalogue),
        fingerprint: `${this.#name} ${state}`,
        snapshot,
        beginning,
        types,
        moment: this.#moment,
      }
      return this.#known
    }
  }

  async #snapshot(answers: readonly Answer[]): Promise<string | undefined> {
    const { snapshots } = this.#ports
    if (snapshots === undefined) return undefined
    const address = await snapshots.keep(snapshotText(answers))
    // Until there is another one, even while it is stale: who is judged by it may be recorded a moment later.
    if (this.#kept !== undefined) snapshots.release(this.#kept)
    this.#kept = address
    return address
  }

  async #connected(): Promise<UpstreamClient> {
    if (this.#client !== undefined) return this.#client
    const parameters = new Map([
      ['application_name', 'sluice catalogue'],
      ['client_encoding', 'UTF8'],
      // Of a role or a database there may be one that is meant for its statements.
      ['statement_timeout', String(LIMITS.definitionsMs)],
    ])
    const open = await openUpstream(this.#ports, this.#connection.settings, this.#name, parameters, 0)
    this.#client = new UpstreamClient(open)
    return this.#client
  }

  /** With it what sessions begin with: a server may be given another search path while they are there. */
  async #readFingerprint(client: UpstreamClient): Promise<string> {
    return JSON.stringify([await client.query(fingerprintQuery), await client.query(BEGINNING_QUERY)])
  }

  #poll(): void {
    this.#timer = this.#ports.clock.after(this.#connection.settings.catalogueEvery, () => {
      this.#timer = undefined
      const leavings = this.#leavings
      this.#check()
        .catch((error: unknown) => {
          // Whoever left last has ended the session over which it was being asked; others may have come since.
          if (this.#leavings !== leavings) return
          this.#drop()
          this.invalidate()
          this.#ports.report(error)
        })
        .finally(() => {
          if (this.#users === 0) this.#drop()
          else if (this.#timer === undefined) this.#poll()
        })
    })
  }

  async #check(): Promise<void> {
    if (this.#known === undefined || this.#loading !== undefined) return
    const epoch = this.#epoch
    const fingerprint = await this.#asked((client) => this.#readFingerprint(client))
    if (epoch === this.#epoch && fingerprint !== this.#fingerprint) this.invalidate()
  }

  #drop(client = this.#client): void {
    client?.close()
    if (client === this.#client) this.#client = undefined
  }
}

/** `undefined` when something the views read is locked. */
async function viewsOf(client: UpstreamClient): Promise<(string | null)[][] | undefined> {
  try {
    return await client.query(viewsQuery)
  } catch (error) {
    if (error instanceof UpstreamRefused) return undefined
    throw error
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof UpstreamRefused || (isGatewayError(error) && error.cause instanceof UpstreamRefused)
}

/** A session cannot go on without what the server has refused to tell. */
export function untold(error: UpstreamRefused): GatewayError {
  return new GatewayError(
    'upstream_unreachable',
    `The server did not tell its definitions (SQLSTATE ${error.fields.code ?? 'unknown'}), without which no command can be judged.`,
    { remedy: 'Check the upstream of this connection with: sluice doctor', retry: 'later', cause: error },
  )
}
