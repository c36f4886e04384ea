import { randomBytes } from 'node:crypto'
import type { ClientTls, Network, Pipe, ServerTls } from '../core/index.ts'
import { Secret } from '../core/index.ts'
import type { Minted } from '../identity/index.ts'
import { catalogueQueries, fingerprintQuery } from '../protocols/postgres/catalogue/catalogue.ts'
import { QUIET_QUERY } from '../protocols/postgres/catalogue/quiet-code.ts'
import { serveWith } from '../protocols/postgres/index.ts'
import { typesQuery } from '../protocols/postgres/results/result-types.ts'
import type { ProtocolServer } from '../session/index.ts'
import { createSqlAnalyser } from '../sql/index.ts'
import type { ClientMessage, ErrorFields, FrameSink, ServerMessage } from '../wire/postgres/index.ts'
import {
  decodeServer,
  encodeClient,
  encodeSslRequest,
  encodeStartup,
  Framer,
  saslInitialBody,
  ScramClient,
} from '../wire/postgres/index.ts'
import type { Row } from './fake-postgres-answers.ts'
import { column, done, OID, rows } from './fake-postgres-answers.ts'
import { FakeNetwork } from './fake-network.ts'
import type { FakePostgresOptions } from './fake-postgres-server.ts'
import { FakePostgres } from './fake-postgres.ts'
import { lendParserInstance } from './lent-parsers.ts'
import type { MemoryBudgetStore } from './memory-budget-store.ts'
import type { MemoryPipe } from './pipe-pair.ts'
import { pipePair } from './pipe-pair.ts'
import { configurationOf, until, World } from './world.ts'

export const DATABASE = 'crm'
export const UPSTREAM_PASSWORD = 'upstream-canary-password'
/** What the labelled columns hold: none of it may be seen by who is not allowed to. */
export const CANARIES = ['canary.alice@example.com', 'canary-secret-1', 'canary-secret-2'] as const
const TLS: ServerTls = { certificate: 'a certificate in memory', key: new Secret('its key') }

/** public.customers (id, email, note, secret) has labels, public.orders (id, state) and public.numbers (n) have none. */
export const CUSTOMERS = 16_400
const ORDERS = 16_410
const NUMBERS = 16_420

export const FIELDS = {
  id: column('id', { tableOid: CUSTOMERS, attnum: 1, typeOid: OID.int4, typlen: 4 }),
  email: column('email', { tableOid: CUSTOMERS, attnum: 2 }),
  note: column('note', { tableOid: CUSTOMERS, attnum: 3 }),
  secret: column('secret', { tableOid: CUSTOMERS, attnum: 4 }),
  n: column('n', { tableOid: NUMBERS, attnum: 1, typeOid: OID.int4, typlen: 4 }),
} as const

const CATALOGUE: readonly (readonly Row[])[] = [
  [[DATABASE, '"$user", public']],
  [
    [String(CUSTOMERS), 'public', 'customers', 'r', 'f', 'f'],
    [String(ORDERS), 'public', 'orders', 'r', 'f', 'f'],
    [String(NUMBERS), 'public', 'numbers', 'r', 'f', 'f'],
  ],
  [
    [String(CUSTOMERS), '1', 'id', '23'],
    [String(CUSTOMERS), '2', 'email', '25'],
    [String(CUSTOMERS), '3', 'note', '25'],
    [String(CUSTOMERS), '4', 'secret', '25'],
    [String(ORDERS), '1', 'id', '23'],
    [String(ORDERS), '2', 'state', '25'],
    [String(NUMBERS), '1', 'n', '23'],
  ],
]

/** No code of users stands behind any of them. */
/** Nothing but tables. */
export const NO_CODE: readonly (readonly (string | null)[])[] = (CATALOGUE[1] ?? []).map(
  ([oid, , name, kind]) => ['relation', String(oid), String(name), String(kind), null],
)

/** Each has a policy of a quiet function: planners are not asked for what people are to read, unless a test says so. */
const QUIET: readonly Row[] = [
  ...NO_CODE,
  ['function', '16400', 'is_mine', 'SELECT true', null],
  ...NO_CODE.map(([, oid = null]): Row => ['calls', oid, '16400', null, null]),
]

const LABELS = `
    labels:
      public.customers.email: pii.email
      public.customers.secret: secret`

export type StageOptions = {
  /** Columns with labels; on unless said otherwise. */
  readonly labelled?: boolean
  readonly rules?: string
  /** Says what was masked; off unless said otherwise, because most tests are about something else. */
  readonly maskedNotice?: boolean
  readonly budgetStore?: MemoryBudgetStore
  /** Further lines of the connection's block. */
  readonly connection?: string
  readonly server?: FakePostgresOptions
  readonly tls?: boolean
}

/** The connection of a stage, as it stands in its configuration. */
export function connectionBlock(options: StageOptions = {}): string {
  return `  crm:
    protocol: postgres
    upstream: { host: db.test, user: role, password: "\${env:PASSWORD}", sslmode: disable }
    databases: [${DATABASE}]
    limit: { rows: 10, bytes: 8MiB }
    patience: 30s
    maskedNotice: ${options.maskedNotice ?? false}${options.labelled === false ? '' : LABELS}${options.connection ?? ''}`
}

/** A gateway for PostgreSQL with a fake server behind it and clients in front, all in memory. */
export class PostgresStage {
  readonly world: World
  readonly server: FakePostgres
  readonly options: StageOptions
  readonly #protocol: ProtocolServer
  /** Bytes on their way to the upstream, per dialled pipe. */
  readonly forwarded: Buffer[][]

  private constructor(parts: {
    world: World
    server: FakePostgres
    options: StageOptions
    forwarded: Buffer[][]
  }) {
    this.world = parts.world
    this.server = parts.server
    this.options = parts.options
    this.forwarded = parts.forwarded
    this.#protocol = serveWith(
      this.world.context(parts.options.tls === false ? undefined : TLS),
      createSqlAnalyser(lendParserInstance),
    )
  }

  static async open(options: StageOptions = {}): Promise<PostgresStage> {
    const server = new FakePostgres({ auth: 'scram', password: UPSTREAM_PASSWORD, ...options.server })
    knowCatalogue(server)
    const forwarded: Buffer[][] = []
    const network = new TappedNetwork((number, bytes) => {
      ;(forwarded[number] ??= []).push(Buffer.from(bytes))
      world.journal.forwarded(bytes)
    })
    network.inner.listen('db.test', 5432, (pipe) => server.serve(pipe))
    const world = await World.open({
      configuration: configurationOf(connectionBlock(options), options.rules),
      network,
      secrets: { PASSWORD: UPSTREAM_PASSWORD },
      ...(options.budgetStore === undefined ? {} : { budgetStore: options.budgetStore }),
    })
    return new PostgresStage({ world, server, options, forwarded })
  }

  /** A client's end of a new pipe; the gateway has the other one. */
  dial(chunkBytes = 65_536): MemoryPipe {
    const [client, gateway] = pipePair({ chunkBytes })
    if (this.#protocol.takes !== 'pipe') throw new Error('this protocol takes pipes')
    this.#protocol.accept(gateway, () => undefined)
    return client
  }

  /** A client that is logged in and ready. */
  async client(options: LoginOptions = {}): Promise<StageClient> {
    const client = new StageClient(this.dial(options.chunkBytes))
    await client.logIn(options.minted ?? (await this.world.mint('database', 'crm')), options)
    return client
  }

  /** Statements of clients that reached the server, in order; the gateway's own are left out. */
  ran(): string[] {
    return this.server.ran.map((each) => each.sql).filter((sql) => !isOwn(sql))
  }

  async close(): Promise<void> {
    this.world.close()
    await this.#protocol.close()
  }
}

const BEGINNING = /current_setting\('search_path'\), CURRENT_USER/

function isOwn(sql: string): boolean {
  return [...catalogueQueries, fingerprintQuery, typesQuery, QUIET_QUERY].includes(sql) || BEGINNING.test(sql)
}

/** Answers the gateway's own questions about the database. */
export function knowCatalogue(server: FakePostgres): void {
  server.answer(BEGINNING, rows(['path', 'role', 'login'], [['"$user", public', 'role', 'role']]))
  server.answer(fingerprintQuery, rows(['f'], [['1']]))
  server.answer(typesQuery, rows(['oid'], []))
  server.answer(QUIET_QUERY, rows(['kind', 'a', 'b', 'c', 'd'], QUIET))
  for (const [i, query] of catalogueQueries.entries()) {
    const values = CATALOGUE[i] ?? []
    const width = values[0]?.length ?? 1
    server.answer(
      query,
      rows(
        Array.from({ length: width }, (_, at) => `c${at}`),
        values,
      ),
    )
  }
}

/** The usual answers: a labelled table with canaries, rows without end, a write. */
export function answerUsual(server: FakePostgres): void {
  const { id, email, note, secret, n } = FIELDS
  const [alice, first, second] = CANARIES
  const all: Row[] = [
    ['1', alice, 'plain one', first],
    ['2', null, 'plain two', second],
  ]
  server.answer(/^SELECT id, email, note, secret FROM customers/, rows([id, email, note, secret], all))
  server.answer(
    /^SELECT email FROM customers/,
    rows(
      [email],
      all.map((row) => [row[1] ?? null]),
    ),
  )
  server.answer(
    /^SELECT n FROM numbers/,
    rows(
      [n],
      Array.from({ length: 50 }, (_, i) => [String(i)]),
    ),
  )
  server.answer(/^UPDATE orders/, done('UPDATE 1'))
  server.answer(/^INSERT INTO orders/, done('INSERT 0 1'))
}

export type LoginOptions = {
  readonly minted?: Minted
  readonly user?: string
  readonly database?: string
  readonly parameters?: Readonly<Record<string, string>>
  readonly chunkBytes?: number
  readonly secret?: string
}

/** A client that speaks in messages and keeps every byte it gets. */
export class StageClient implements FrameSink {
  readonly pipe: MemoryPipe
  readonly heard: ServerMessage[] = []
  readonly #received: Buffer[] = []
  readonly #framer = new Framer({ bodyBytesMax: 1 << 28, wholeBytesMax: 1 << 28 })
  ended = false
  key: { readonly processId: number; readonly key: Uint8Array } | undefined

  constructor(pipe: MemoryPipe) {
    this.pipe = pipe
    this.listen()
    pipe.onEnd = () => {
      this.ended = true
    }
    pipe.onClose = () => {
      this.ended = true
    }
  }

  listen(): void {
    this.pipe.onData = (bytes) => {
      this.#received.push(Buffer.from(bytes))
      this.#framer.push(bytes, this)
    }
  }

  header(): 'whole' {
    return 'whole'
  }
  whole(type: number, buffer: Buffer, start: number, end: number): void {
    const message = decodeServer(type, Buffer.from(buffer.subarray(start, end)))
    if (message.kind === 'backendKeyData') this.key = message
    this.heard.push(message)
  }
  piece(): void {
    throw new Error('nothing is streamed here')
  }
  pass(): void {
    throw new Error('nothing is relayed here')
  }

  /** Every byte that came in clear text of the protocol. */
  received(): Buffer {
    return Buffer.concat(this.#received)
  }

  /** TLS, as every client that is not on the gateway's machine makes it. */
  async secure(): Promise<void> {
    let answer = ''
    this.pipe.onData = (bytes) => {
      answer += bytes.toString('latin1')
    }
    this.pipe.write(encodeSslRequest())
    await until('the gateway answers the request for TLS', () => answer !== '' || this.ended)
    if (answer !== 'S') throw new Error(`the gateway answered ${answer} to a request for TLS`)
    this.listen()
    await new FakeNetwork().secureClient(this.pipe, { verify: 'none', servername: 'gateway' })
  }

  /** Up to the first ReadyForQuery, or the end of the pipe: then `heard` says why. */
  async logIn(minted: Minted, options: LoginOptions = {}): Promise<void> {
    await this.secure()
    const parameters = new Map(Object.entries(options.parameters ?? {}))
    parameters.set('user', options.user ?? minted.credential.id)
    parameters.set('database', options.database ?? DATABASE)
    this.pipe.write(encodeStartup(parameters, 0))
    const asked = await this.next()
    if (asked.kind !== 'authenticationSasl') return
    const scram = new ScramClient({
      password: options.secret === undefined ? minted.secret : new Secret(options.secret),
      mechanisms: asked.mechanisms,
      endPointHash: this.pipe.tls?.endPointHash,
      random: randomBytes,
    })
    this.pipe.write(encodeClient({ kind: 'password', body: saslInitialBody(scram.mechanism, scram.first()) }))
    const continued = await this.next()
    if (continued.kind !== 'authenticationSaslContinue') return
    this.pipe.write(encodeClient({ kind: 'password', body: await scram.final(continued.data) }))
    await until(
      'the login ends',
      () => this.ended || this.heard.some((each) => each.kind === 'readyForQuery'),
    )
  }

  /** The next message that has not been taken. */
  async next(): Promise<ServerMessage> {
    const at = this.#taken
    await until('a message arrives', () => this.heard.length > at || this.ended)
    const message = this.heard[at]
    if (message === undefined) throw new Error('the gateway hung up without a word')
    this.#taken++
    return message
  }
  #taken = 0

  write(...messages: readonly ClientMessage[]): void {
    this.pipe.write(encodeClient(...messages))
  }

  /** Sends, and gives what was heard since, up to the `count`th ReadyForQuery or the end. */
  async say(messages: readonly ClientMessage[], count = 1): Promise<ServerMessage[]> {
    const from = this.heard.length
    this.write(...messages)
    return this.hear(from, count)
  }

  async hear(from: number, count = 1): Promise<ServerMessage[]> {
    const ready = (): number => this.heard.slice(from).filter((each) => each.kind === 'readyForQuery').length
    await until(`${count} ReadyForQuery arrive`, () => ready() >= count || this.ended)
    return this.heard.slice(from)
  }

  query(sql: string): Promise<ServerMessage[]> {
    return this.say([query(sql)])
  }

  leave(): void {
    this.pipe.end(encodeClient({ kind: 'terminate' }))
  }
}

export function query(sql: string): ClientMessage {
  return { kind: 'query', sql: Buffer.from(sql) }
}
export function parse(sql: string, statement = ''): ClientMessage {
  return { kind: 'parse', statement, sql: Buffer.from(sql), parameterTypes: [] }
}
export function bind(
  options: {
    readonly statement?: string
    readonly portal?: string
    readonly values?: readonly (string | null)[]
    readonly binary?: boolean
  } = {},
): ClientMessage {
  return {
    kind: 'bind',
    portal: options.portal ?? '',
    statement: options.statement ?? '',
    parameterFormats: [],
    values: (options.values ?? []).map((each) => (each === null ? null : Buffer.from(each))),
    resultFormats: options.binary === true ? [1] : [],
  }
}
export function describe(what: 'statement' | 'portal', name = ''): ClientMessage {
  return { kind: 'describe', what, name }
}
export function execute(portal = '', rowsMax = 0): ClientMessage {
  return { kind: 'execute', portal, rowsMax }
}
export function close(what: 'statement' | 'portal', name = ''): ClientMessage {
  return { kind: 'close', what, name }
}
export const sync: ClientMessage = { kind: 'sync' }
export const flush: ClientMessage = { kind: 'flush' }

/** Messages as a script of a play: one word or short line each. */
export function script(messages: readonly ServerMessage[]): string[] {
  return messages.map((message) => {
    switch (message.kind) {
      case 'dataRow':
        return `row ${message.cells.map((cell) => (cell === null ? 'NULL' : Buffer.from(cell).toString())).join(' | ')}`
      case 'commandComplete':
        return `done ${message.tag}`
      case 'errorResponse':
        return `error ${message.fields.code} ${message.fields.message}`
      case 'noticeResponse':
        return `notice ${message.fields.message}`
      case 'readyForQuery':
        return `ready ${message.status}`
      case 'parameterStatus':
        return `parameter ${message.name}=${message.value}`
      case 'rowDescription':
        return `columns ${message.fields.map((field) => field.name).join(' ')}`
      default:
        return message.kind
    }
  })
}

export function errorOf(messages: readonly ServerMessage[]): ErrorFields {
  for (const message of messages) if (message.kind === 'errorResponse') return message.fields
  throw new Error(`no error among: ${script(messages).join(', ')}`)
}

/** Tells of every byte that is written to a dialled pipe, when it is written. */
class TappedNetwork implements Network {
  readonly inner = new FakeNetwork()
  readonly #tap: (number: number, bytes: Uint8Array) => void
  #dialled = 0

  constructor(tap: (number: number, bytes: Uint8Array) => void) {
    this.#tap = tap
  }

  async dial(target: { readonly host: string; readonly port: number }): Promise<Pipe> {
    const pipe = await this.inner.dial(target)
    const number = this.#dialled++
    const write = pipe.write.bind(pipe)
    pipe.write = (bytes, done) => {
      this.#tap(number, Buffer.from(bytes))
      return write(bytes, done)
    }
    return pipe
  }

  secureServer(pipe: Pipe, tls: ServerTls): Promise<Pipe> {
    return this.inner.secureServer(pipe, tls)
  }

  secureClient(pipe: Pipe, tls: ClientTls): Promise<Pipe> {
    return this.inner.secureClient(pipe, tls)
  }
}
