import { createHash } from 'node:crypto'
import type { Connection, Timer } from '../../core/index.ts'
import type { Catalogue } from '../../sql/index.ts'
import { labelledReach } from './catalogue.ts'
import { buildCatalogue, catalogueQueries, fingerprintQuery, viewsQuery } from './catalogue.ts'
import type { TypeLookup } from './result-types.ts'
import { typeLookup, typesQuery } from './result-types.ts'
import type { PostgresSettings } from './settings.ts'
import type { UpstreamPorts } from './upstream.ts'
import { openUpstream, UpstreamClient, UpstreamRefused } from './upstream.ts'

export type KeeperPorts = UpstreamPorts & {
  readonly clock: { after(ms: number, run: () => void): Timer }
  readonly report: (error: unknown) => void
}

/** What is known of one database: its catalogue, and which relations labelled values could come from. */
export type Known = {
  readonly catalogue: Catalogue
  readonly reach: ReadonlySet<number>
  /** Which database and which state of its definitions this is. */
  readonly fingerprint: string
  /** The effective search path of a session that has not changed it. */
  readonly searchPath: readonly string[]
  /** How the values of each type are built. */
  readonly types: TypeLookup
}

/** Schemas that names without one are looked for in, in order. */
export const SEARCH_PATH_QUERY = 'SELECT pg_catalog.unnest(pg_catalog.current_schemas(true))'

/** What `SEARCH_PATH_QUERY` answers. */
export function searchPathOf(rows: readonly (readonly (string | null)[])[]): string[] {
  return rows.map((row) => row[0]).filter((name) => typeof name === 'string')
}

/**
 * Keeps the catalogue of one database true, over an upstream session of the gateway's own. Stale from the moment a
 * definition command is forwarded until it has been read again; changes made around the gateway are found by a polled
 * fingerprint. While it is stale nobody gets it: who needs it waits, and when it cannot be read, is refused.
 */
export class CatalogueKeeper {
  readonly #ports: KeeperPorts
  readonly #connection: Connection<PostgresSettings>
  readonly #database: string
  #known: Known | undefined
  #epoch = 0
  #loading: Promise<Known> | undefined
  #client: UpstreamClient | undefined
  #fingerprint = ''
  #users = 0
  #timer: Timer | undefined

  constructor(ports: KeeperPorts, connection: Connection<PostgresSettings>, database: string) {
    this.#ports = ports
    this.#connection = connection
    this.#database = database
  }

  current(): Known | undefined {
    return this.#known
  }

  /** The catalogue, read anew if it is stale. Rejects when it cannot be read. */
  ready(): Promise<Known> {
    if (this.#known !== undefined) return Promise.resolve(this.#known)
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined
      // Everybody left meanwhile, so nobody else will end what was opened for them.
      if (this.#users === 0) this.#forget()
    })
    return this.#loading
  }

  /** Definitions change or may have changed: nobody gets what is known now. */
  invalidate(): void {
    this.#epoch++
    this.#known = undefined
  }

  /** A session begins to rely on this; `leave` when it ends. Polling goes on as long as anybody does. */
  join(): void {
    this.#users++
    if (this.#timer === undefined) this.#poll()
  }

  leave(): void {
    this.#users--
    if (this.#users === 0) this.#forget()
  }

  #forget(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#drop()
    this.invalidate()
  }

  async #load(): Promise<Known> {
    for (;;) {
      const epoch = this.#epoch
      const client = await this.#connected()
      try {
        const results: (string | null)[][][] = []
        const fingerprint = await this.#readFingerprint(client)
        let complete = true
        for (const query of catalogueQueries) {
          const answer = query === viewsQuery ? await viewsOf(client) : await client.query(query)
          complete &&= answer !== undefined
          results.push(answer ?? [])
        }
        const searchPath = searchPathOf(await client.query(SEARCH_PATH_QUERY))
        const types = typeLookup(await client.query(typesQuery))
        if (epoch !== this.#epoch) continue
        const catalogue = buildCatalogue(results, this.#connection.labels, epoch)
        // Without the views, the next poll finds it changed.
        this.#fingerprint = complete ? fingerprint : ''
        const state = createHash('sha256')
          .update(JSON.stringify([this.#connection.labels, fingerprint]))
          .digest('hex')
        this.#known = {
          catalogue,
          reach: labelledReach(catalogue),
          fingerprint: `${this.#database} ${state}`,
          searchPath,
          types,
        }
        return this.#known
      } catch (error) {
        this.#drop()
        throw error
      }
    }
  }

  async #connected(): Promise<UpstreamClient> {
    if (this.#client !== undefined) return this.#client
    const parameters = new Map([
      ['application_name', 'sluice catalogue'],
      ['client_encoding', 'UTF8'],
    ])
    const open = await openUpstream(this.#ports, this.#connection.settings, this.#database, parameters, 0)
    this.#client = new UpstreamClient(open)
    return this.#client
  }

  async #readFingerprint(client: UpstreamClient): Promise<string> {
    return JSON.stringify(await client.query(fingerprintQuery))
  }

  #poll(): void {
    this.#timer = this.#ports.clock.after(this.#connection.settings.catalogueEvery, () => {
      this.#timer = undefined
      this.#check()
        .catch((error: unknown) => {
          this.#drop()
          this.invalidate()
          this.#ports.report(error)
        })
        .finally(() => {
          if (this.#users > 0 && this.#timer === undefined) this.#poll()
        })
    })
  }

  async #check(): Promise<void> {
    if (this.#known === undefined || this.#loading !== undefined) return
    const client = await this.#connected()
    const epoch = this.#epoch
    const fingerprint = await this.#readFingerprint(client)
    if (epoch === this.#epoch && fingerprint !== this.#fingerprint) this.invalidate()
  }

  #drop(): void {
    this.#client?.close()
    this.#client = undefined
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
