import { randomBytes } from 'node:crypto'
import type { Pipe, ScramVerifier } from '../core/index.ts'
import { createScramVerifier, LIMITS, SCRAM_ITERATIONS, SCRAM_SALT_BYTES, Secret } from '../core/index.ts'
import { listen, network } from '../net/index.ts'
import type { ClientMessage, ClientMessageKind, ServerMessage, Startup } from '../wire/postgres/index.ts'
import type { Answer, Script } from './fake-postgres-answers.ts'
import { builtIn } from './fake-postgres-answers.ts'
import type { FakePostgresOptions, FakeServer, Ran, Received } from './fake-postgres-server.ts'
import { FakeSession } from './fake-postgres-session.ts'

const USUAL_PARAMETERS = {
  server_version: '16.4',
  server_encoding: 'UTF8',
  client_encoding: 'UTF8',
  standard_conforming_strings: 'on',
  integer_datetimes: 'on',
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
}

/**
 * A PostgreSQL server without a database: it speaks the protocol, keeps count of every message that reaches it and
 * answers from scripts. Leaves out what depends on data: planning, types, locks. Promise: what it has not counted has
 * not reached it.
 */
export class FakePostgres implements FakeServer<FakeSession> {
  readonly options: FakePostgresOptions
  readonly received: Received[] = []
  readonly ran: Ran[] = []
  readonly startups: Startup[] = []
  /** Process ids that somebody wanted canceled, with whether the key was right. */
  readonly cancels: { readonly processId: number; readonly matched: boolean }[] = []
  /** A cancel request is acted on, and its socket closed, when this resolves. */
  beforeCancel: () => Promise<void> = async () => undefined
  readonly #counts = new Map<ClientMessageKind, number>()
  readonly #scripts: Script[] = []
  readonly #sessions = new Set<FakeSession>()
  #sessionsBegun = 0
  #verifier: ScramVerifier | undefined

  constructor(options: FakePostgresOptions = {}) {
    this.options = options
  }

  /** The answer to a statement text. Later scripts win; what none knows is an error 42601. */
  answer(sql: string | RegExp, ...answers: readonly Answer[]): this {
    return this.script((text) =>
      (typeof sql === 'string' ? text === sql : sql.test(text)) ? answers : undefined,
    )
  }

  script(script: Script): this {
    this.#scripts.unshift(script)
    return this
  }

  answersTo(sql: string, values: readonly (Buffer | null)[]): readonly Answer[] | undefined {
    for (const script of this.#scripts) {
      const answers = script(sql, values)
      if (answers !== undefined) return answers
    }
    return builtIn(sql)
  }

  /** Speaks on a pipe from its first byte on. */
  serve(pipe: Pipe): void {
    const session = new FakeSession(this, pipe, ++this.#sessionsBegun)
    this.#sessions.add(session)
  }

  /** Listens on a port of the loopback interface. */
  async listen(): Promise<{ readonly port: number; close(): void }> {
    const listener = await listen({
      address: '127.0.0.1',
      port: 0,
      limits: { socketsMax: LIMITS.sessionsMax, handshakesPerSourceMax: LIMITS.sessionsMax },
      onPipe: ({ pipe, admitted }) => {
        admitted()
        this.serve(pipe)
      },
    })
    return { port: listener.port, close: () => listener.destroy() }
  }

  /** How many messages have arrived since start-up: of one kind, or of all. */
  count(kind?: ClientMessageKind): number {
    if (kind !== undefined) return this.#counts.get(kind) ?? 0
    return [...this.#counts.values()].reduce((sum, each) => sum + each, 0)
  }

  get sessions(): number {
    return this.#sessions.size
  }

  /** Sends something nobody asked for to every session, as notifications and shutdowns do. */
  tell(...messages: readonly ServerMessage[]): void {
    for (const session of this.#sessions) session.send(...messages)
  }

  /** Cuts every session. */
  crash(): void {
    for (const session of this.#sessions) session.crash()
  }

  // What follows is for sessions.

  note(session: number, message: ClientMessage): void {
    this.#counts.set(message.kind, this.count(message.kind) + 1)
    if (this.options.keep !== false) this.received.push({ session, message })
  }

  cancel(processId: number, key: Uint8Array): void {
    const session = [...this.#sessions].find((each) => each.processId === processId)
    const matched = session !== undefined && Buffer.compare(session.key, key) === 0
    this.cancels.push({ processId, matched })
    if (matched) session.cancel()
  }

  forget(session: FakeSession): void {
    this.#sessions.delete(session)
  }

  get parameters(): Readonly<Record<string, string>> {
    return { ...USUAL_PARAMETERS, ...this.options.parameters }
  }

  get password(): Secret {
    return new Secret(this.options.password ?? '')
  }

  get verifier(): ScramVerifier {
    const salt = randomBytes(SCRAM_SALT_BYTES)
    this.#verifier ??= createScramVerifier(this.password.reveal(), SCRAM_ITERATIONS, salt)
    return this.#verifier
  }

  secure(pipe: Pipe, received?: Uint8Array): Promise<Pipe> {
    if (this.options.tls === undefined) throw new Error('no TLS was configured')
    return (this.options.network ?? network).secureServer(pipe, this.options.tls, received)
  }
}
