/** A server with random schemas full of markers, and a gateway with an identity that may see nothing and one that may filter. */
import type { Message, Target } from '../differential/raw-client.ts'
import { query, RawClient } from '../differential/raw-client.ts'
import type { Starter, UsedGateway } from '../abuse/world.ts'
import { targetOf } from '../abuse/world.ts'
import { startGateway } from '../support/gateway.ts'
import type { Major, TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { randomFrom } from '../support/proof.ts'
import { Markers } from './markers.ts'
import { Queries } from './queries.ts'
import type { Schema } from './schemas.ts'
import { diceOf, LABELS, makeSchema } from './schemas.ts'

/** Nobody of them sees. What `filterer` computes from protected values runs, so what comes of it must be hidden. */
export const PROBERS = ['blind', 'filterer'] as const
export type Prober = (typeof PROBERS)[number]

export type Stage = {
  readonly schema: Schema
  readonly markers: Markers
  readonly direct: Line
  readonly through: Readonly<Record<Prober, Line>>
}

export type ProvingWorld = {
  readonly server: TestServer
  readonly gateway: UsedGateway
  stage(index: number): Promise<Stage>
  stop(): Promise<void>
}

const VIEWS = 8

/** A conversation that is begun again when it has ended. */
export class Line {
  readonly #target: Target
  #client: RawClient | undefined
  /** How often the other side hung up or said nothing any more. */
  broken = 0

  constructor(target: Target) {
    this.#target = target
  }

  async with(work: (client: RawClient) => Promise<Message[]>): Promise<Message[]> {
    this.#client ??= (await RawClient.open(this.#target)).client
    const client = this.#client
    const seen = await work(client).catch((error: unknown) => {
      this.#lose(client)
      return [...client.unread(), { type: '!', body: Buffer.from(String(error)) }]
    })
    if (seen.at(-1)?.type !== 'Z') this.#lose(client)
    return seen
  }

  #lose(client: RawClient): void {
    if (this.#client !== client) return
    client.destroy()
    this.#client = undefined
    this.broken++
  }

  async end(): Promise<void> {
    await this.#client?.close()
    this.#client = undefined
  }
}

export async function startProving(
  major: Major,
  seed: number,
  count: number,
  start: Starter<UsedGateway> = startGateway,
): Promise<ProvingWorld> {
  const server = await startTestServer(major, { log_statement: 'none', autovacuum: false, jit: false })
  const made: { schema: Schema; markers: Markers }[] = []
  for (let i = 0; i < count; i++) made.push(await prepare(server, seed + i, `s${i}`))
  const gateway = await start({
    config: configuration(
      server,
      made.map(({ schema }) => schema),
    ),
    env: { UPSTREAM_PASSWORD: server.password },
  })
  return {
    server,
    gateway,
    async stage(index) {
      const own = made[index]
      if (own === undefined) throw new Error(`no schema ${index}`)
      const { host, port, user } = server
      const direct = new Line({ host, port, user, password: server.password, database: `s${index}` })
      const line = async (prober: Prober) => new Line(targetOf(await gateway.dsn(`s${index}`, prober)))
      return { ...own, direct, through: { blind: await line('blind'), filterer: await line('filterer') } }
    },
    async stop() {
      await gateway.stop()
      await server.stop('immediate')
    },
  }
}

export async function prepare(
  server: TestServer,
  seed: number,
  database: string,
): Promise<{ schema: Schema; markers: Markers }> {
  const random = randomFrom(seed)
  const markers = new Markers(random)
  const schema = makeSchema(random, markers)
  await server.sql(`CREATE DATABASE ${database}`)
  await server.sql(`ALTER DATABASE ${database} SET statement_timeout = '2s'`)
  const client = await server.client(database)
  try {
    for (const text of schema.ddl) await client.query(text)
    const queries = new Queries(diceOf(random), schema)
    for (let tries = 0, made = 0; made < VIEWS && tries < 200; tries++) {
      const { sql, columns, tainted } = queries.view()
      if (columns.length === 0 || new Set(columns.map(({ name }) => name)).size < columns.length) continue
      const name = `v${made}`
      const kind = made % 3 === 2 ? 'materialised' : 'view'
      const head = `CREATE ${kind === 'view' ? '' : 'MATERIALIZED '}VIEW ${name} AS `
      const run = await client.query(head + sql).catch((error: unknown) => error)
      if (run instanceof Error) continue
      schema.relations.push({ name, columns, tainted, kind })
      made++
    }
  } finally {
    await client.end()
  }
  return { schema, markers }
}

function configuration(server: TestServer, schemas: readonly Schema[]): string {
  const labels = Object.entries(LABELS).map(([name, mask]) => `  ${name}: { mask: ${mask} }`)
  const connections = schemas.map((schema, i) => {
    const lines = [...schema.labels].map(([column, label]) => `      "${column}": ${label}`)
    return `  s${i}:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: ${server.user}, password: "\${env:UPSTREAM_PASSWORD}", sslmode: disable }
    databases: [s${i}]
    labels:
${lines.join('\n')}`
  })
  return `listen:
  postgres: { port: 0 }
identities:
  local:
    - { name: blind, kind: service }
    - { name: filterer, kind: service }
labels:
${labels.join('\n')}
connections:
${connections.join('\n')}
rules:
  - name: both may do anything but see
    who: everyone
    on: all
    permit: { run: all, unreviewed: all, unlimited: true }
  - name: one may filter
    who: { identities: ["service:filterer"] }
    on: all
    permit: { filter: all }
`
}

export const BEGIN = query('BEGIN')
export const ROLLBACK = query('ROLLBACK')
