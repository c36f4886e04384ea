import { randomBytes } from 'node:crypto'
import type { Pipe } from '../core/index.ts'
import { asGatewayError, LIMITS } from '../core/index.ts'
import type {
  ClientMessage,
  ErrorFields,
  FrameMode,
  ServerMessage,
  Startup,
  StartupPacket,
  TransactionStatus,
} from '../wire/postgres/index.ts'
import {
  decodeClient,
  decodePassword,
  decodeSaslInitial,
  encodeServer,
  Framer,
  md5Password,
  negotiate,
  ScramServer,
  StartupReader,
} from '../wire/postgres/index.ts'
import type { Answer, Row } from './fake-postgres-answers.ts'
import { encodeCell } from './fake-postgres-answers.ts'
import type { FakeServer } from './fake-postgres-server.ts'

/** Messages read ahead before the pipe is paused, and bytes of rows gathered before they are written. */
const AHEAD_MAX = 1000
const WRITE_BYTES = 32 * 1024

type Values = readonly (Buffer | null)[]
type Statement = {
  readonly sql: string
  readonly types: readonly number[]
  readonly answers: readonly Answer[]
}
type Portal = {
  readonly sql: string
  readonly values: Values
  readonly answers: readonly Answer[]
  readonly resultFormats: readonly number[]
  /** The rows not sent yet, once the first Execute has begun. */
  rest?: Iterator<Row>
}

/** The server's ErrorResponse, on its way to where the conversation goes on. */
class Failure extends Error {
  readonly fields: ErrorFields
  constructor(fields: ErrorFields) {
    super(fields.message)
    this.fields = fields
  }
}

function failure(code: string, message: string, severity = 'ERROR'): Failure {
  return new Failure({ severity, code, message })
}

/** One session of the fake server: a conversation over one pipe, read like the script of a play. */
export class FakeSession {
  readonly processId: number
  readonly #server: FakeServer<FakeSession>
  readonly #pipe: Pipe
  readonly #number: number
  key: Buffer = randomBytes(4)
  #startup = new StartupReader()
  #started = false
  readonly #framer = new Framer({
    bodyBytesMax: LIMITS.messageBytesMax,
    wholeBytesMax: LIMITS.messageBytesMax,
  })
  readonly #messages: ClientMessage[] = []
  #arrived: (() => void) | undefined
  #drained: (() => void) | undefined
  #canceled: (() => void) | undefined
  #closed = false
  #status: TransactionStatus = 'idle'
  readonly #statements = new Map<string, Statement>()
  readonly #portals = new Map<string, Portal>()
  #pending: Buffer[] = []
  #pendingBytes = 0

  constructor(server: FakeServer<FakeSession>, pipe: Pipe, number: number) {
    this.#server = server
    this.#pipe = pipe
    this.#number = number
    this.processId = 1000 + number
    pipe.onData = (bytes) => this.#take(bytes)
    pipe.onEnd = () => this.#close()
    pipe.onClose = () => this.#close()
    pipe.onDrain = () => this.#drained?.()
  }

  send(...messages: readonly ServerMessage[]): void {
    if (this.#closed) return
    this.#queue(...messages)
    this.#write()
  }

  cancel(): void {
    this.#canceled?.()
  }

  crash(): void {
    this.#pipe.destroy()
    this.#close()
  }

  // Bytes to messages.

  #take(bytes: Buffer): void {
    try {
      if (this.#started) this.#framer.push(bytes, this)
      else this.#takeStartup(bytes)
    } catch (error) {
      this.#fatal('08P01', asGatewayError(error).message)
    }
  }

  header(): FrameMode {
    return 'whole'
  }

  whole(type: number, buffer: Buffer, start: number, end: number): void {
    const message = decodeClient(type, Buffer.from(buffer.subarray(start, end)))
    this.#server.note(this.#number, message)
    this.#messages.push(message)
    if (this.#messages.length > AHEAD_MAX) this.#pipe.pause()
    this.#arrived?.()
  }

  piece(): void {
    throw new Error('nothing is streamed here')
  }

  pass(): void {
    throw new Error('nothing is relayed here')
  }

  #takeStartup(bytes: Buffer): void {
    const taken = this.#startup.push(bytes)
    if (taken === undefined) return
    this.#startup = new StartupReader()
    const { packet, rest } = taken
    if (packet.kind === 'startup') {
      this.#started = true
      this.#run(packet)
      if (rest.length > 0) this.#framer.push(rest, this)
    } else {
      this.#answerStartup(packet, rest)
    }
  }

  #answerStartup(packet: Exclude<StartupPacket, Startup>, rest: Buffer): void {
    const { tls } = this.#server.options
    switch (packet.kind) {
      case 'cancelRequest':
        void this.#server.beforeCancel().then(() => {
          this.#server.cancel(packet.processId, packet.key)
          this.#pipe.end()
        })
        return
      case 'gssEncryptionRequest':
        this.#pipe.write(Buffer.from('N'))
        return
      case 'sslRequest':
        if (rest.length > 0) throw new Error('bytes came before TLS')
        this.#pipe.write(Buffer.from(tls === undefined ? 'N' : 'S'))
        if (tls !== undefined) this.#server.secure(this.#pipe).catch(() => this.#close())
        return
      case 'directTls':
        if (tls === undefined) this.crash()
        else this.#server.secure(this.#pipe, rest).catch(() => this.#close())
    }
  }

  // The conversation.

  #run(startup: Startup): void {
    this.#server.startups.push(startup)
    this.#converse(startup).catch((error: unknown) => {
      if (this.#closed) return
      if (error instanceof Failure) this.#fatal(error.fields.code ?? 'XX000', error.message)
      else this.#fatal('28000', asGatewayError(error).message)
    })
  }

  async #converse(startup: Startup): Promise<void> {
    if (this.#server.options.tlsRequired === true && this.#pipe.tls === undefined) {
      throw failure('28000', 'no encryption')
    }
    const { minor, mustTell } = negotiate(startup, this.#server.options.minorMax ?? 0)
    if (mustTell) this.send({ kind: 'negotiateProtocolVersion', minor, options: startup.protocolOptions })
    await this.#authenticate(startup)
    if (minor >= 2) this.key = randomBytes(32)
    const parameters = {
      ...this.#server.parameters,
      application_name: startup.parameters.get('application_name') ?? '',
    }
    this.send(
      { kind: 'authenticationOk' },
      ...Object.entries(parameters).map(
        ([name, value]) => ({ kind: 'parameterStatus', name, value }) as const,
      ),
      { kind: 'backendKeyData', processId: this.processId, key: this.key },
      { kind: 'readyForQuery', status: 'idle' },
    )
    for (let message = await this.#next(); message !== undefined; message = await this.#next()) {
      if (message.kind === 'terminate') {
        this.#pipe.end()
        return
      }
      await this.#act(message)
    }
  }

  async #authenticate(startup: Startup): Promise<void> {
    const { password } = this.#server
    switch (this.#server.options.auth ?? 'trust') {
      case 'trust':
        return
      case 'cleartext': {
        this.send({ kind: 'authenticationCleartextPassword' })
        const given = decodePassword(await this.#passwordBody()).toString()
        if (given !== password.reveal()) throw failure('28P01', 'password authentication failed')
        return
      }
      case 'md5': {
        const salt = randomBytes(4)
        this.send({ kind: 'authenticationMd5Password', salt })
        const given = decodePassword(await this.#passwordBody()).toString()
        if (given !== md5Password(startup.user, password, salt))
          throw failure('28P01', 'password authentication failed')
        return
      }
      case 'scram': {
        const scram = new ScramServer(this.#server.verifier, this.#pipe.tls?.endPointHash, randomBytes)
        this.send({ kind: 'authenticationSasl', mechanisms: scram.mechanisms })
        const { mechanism, data } = decodeSaslInitial(await this.#passwordBody())
        this.send({
          kind: 'authenticationSaslContinue',
          data: scram.begin(mechanism, data ?? Buffer.alloc(0)),
        })
        this.send({ kind: 'authenticationSaslFinal', data: scram.finish(await this.#passwordBody()) })
      }
    }
  }

  async #passwordBody(): Promise<Buffer> {
    const message = await this.#next()
    if (message?.kind !== 'password') throw failure('08P01', 'expected a password')
    return Buffer.from(message.body)
  }

  async #act(message: ClientMessage): Promise<void> {
    try {
      switch (message.kind) {
        case 'query':
          await this.#query(Buffer.from(message.sql).toString())
          break
        case 'sync':
          if (this.#status === 'idle') this.#portals.clear()
          break
        default:
          await this.#extended(message)
          return
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      this.#fail(error)
      if (message.kind !== 'query') await this.#skipToSync()
    }
    this.send({ kind: 'readyForQuery', status: this.#status })
  }

  async #query(sql: string): Promise<void> {
    this.#server.ran.push({ session: this.#number, sql, values: [] })
    if (sql.trim() === '') return this.#queue({ kind: 'emptyQueryResponse' })
    this.#checkTransaction(sql)
    for (const answer of this.#answersTo(sql, [])) {
      if (answer.kind === 'rows') this.#queue({ kind: 'rowDescription', fields: answer.fields })
      await this.#perform(answer, sql)
    }
  }

  async #extended(message: ClientMessage): Promise<void> {
    switch (message.kind) {
      case 'parse': {
        const sql = Buffer.from(message.sql).toString()
        this.#checkTransaction(sql)
        const answers = sql.trim() === '' ? [] : this.#answersTo(sql, [])
        const refusal = answers.find((each) => each.kind === 'error' && each.at === 'parse')
        if (refusal?.kind === 'error') throw new Failure(refusal.fields)
        if (message.statement !== '' && this.#statements.has(message.statement)) {
          throw failure('42P05', `prepared statement "${message.statement}" already exists`)
        }
        const numbers = [...sql.matchAll(/\$(\d+)/g)].map((each) => Number(each[1]))
        const types = Array.from(
          { length: Math.max(0, ...numbers) },
          (_, i) => message.parameterTypes[i] || 25,
        )
        this.#statements.set(message.statement, { sql, types, answers })
        return this.#queue({ kind: 'parseComplete' })
      }
      case 'bind': {
        const { sql } = this.#statement(message.statement)
        this.#checkTransaction(sql)
        const values = message.values.map((each) => (each === null ? null : Buffer.from(each)))
        const answers = sql.trim() === '' ? [] : this.#answersTo(sql, values)
        this.#portals.set(message.portal, { sql, values, answers, resultFormats: message.resultFormats })
        return this.#queue({ kind: 'bindComplete' })
      }
      case 'describe':
        return this.#describe(
          message.what === 'statement' ? this.#statement(message.name) : this.#portal(message.name),
        )
      case 'execute':
        return this.#execute(this.#portal(message.portal), message.rowsMax)
      case 'close':
        if (message.what === 'statement') this.#statements.delete(message.name)
        else this.#portals.delete(message.name)
        return this.#queue({ kind: 'closeComplete' })
      case 'flush':
        this.#write()
        return
      case 'functionCall':
        throw failure('0A000', 'no function calls here')
      default:
        // Copy messages outside of a copy are ignored, as a server does after it has failed one.
        return
    }
  }

  #describe(what: Statement | Portal): void {
    if ('types' in what) this.#queue({ kind: 'parameterDescription', types: what.types })
    const result = what.answers.find((each) => each.kind === 'rows')
    if (result === undefined) return this.#queue({ kind: 'noData' })
    const formats = 'resultFormats' in what ? what.resultFormats : []
    this.#queue({ kind: 'rowDescription', fields: withFormats(result.fields, formats) })
  }

  async #execute(portal: Portal, rowsMax: number): Promise<void> {
    this.#server.ran.push({ session: this.#number, sql: portal.sql, values: portal.values })
    this.#checkTransaction(portal.sql)
    if (portal.sql.trim() === '') return this.#queue({ kind: 'emptyQueryResponse' })
    for (const answer of portal.answers) {
      // A suspended portal goes on with its rows; what came before them is over.
      if (portal.rest === undefined || answer.kind === 'rows') {
        await this.#perform(answer, portal.sql, portal, rowsMax)
      }
    }
  }

  async #perform(answer: Answer, sql: string, portal?: Portal, rowsMax = 0): Promise<void> {
    switch (answer.kind) {
      case 'rows': {
        const fields = withFormats(answer.fields, portal?.resultFormats ?? [])
        const rest = portal?.rest ?? answer.rows[Symbol.iterator]()
        if (portal !== undefined) portal.rest = rest
        for (let count = 0; ; count++) {
          if (rowsMax > 0 && count >= rowsMax) return this.#queue({ kind: 'portalSuspended' })
          const next = rest.next()
          if (next.done === true) return this.#queue({ kind: 'commandComplete', tag: `SELECT ${count}` })
          const cells = next.value.map((cell, i) =>
            encodeCell(cell, fields[i]?.typeOid ?? 0, fields[i]?.format ?? 0),
          )
          this.#queue({ kind: 'dataRow', cells })
          await this.#room()
        }
      }
      case 'done':
        return this.#queue({ kind: 'commandComplete', tag: this.#transact(sql) ?? answer.tag })
      case 'error':
        throw new Failure(answer.fields)
      case 'send':
        return this.send(...answer.messages)
      case 'wait':
        return this.#wait(answer.until)
      case 'copyIn':
        return this.#copyIn(answer)
      case 'copyOut': {
        this.#queue({
          kind: 'copyOutResponse',
          format: 0,
          columnFormats: Array<number>(answer.columns).fill(0),
        })
        let count = 0
        for (const chunk of answer.chunks) {
          this.#queue({ kind: 'copyData', data: Buffer.from(chunk) })
          count++
          await this.#room()
        }
        return this.#queue({ kind: 'copyDone' }, { kind: 'commandComplete', tag: `COPY ${count}` })
      }
      case 'crash':
        this.crash()
        // Nothing follows: the conversation ends with its pipe.
        return new Promise(() => {})
    }
  }

  async #copyIn({ columns, bad }: Answer & { kind: 'copyIn' }): Promise<void> {
    this.send({ kind: 'copyInResponse', format: 0, columnFormats: Array<number>(columns).fill(0) })
    let count = 0
    for (let message = await this.#next(); message !== undefined; message = await this.#next()) {
      switch (message.kind) {
        case 'copyData':
          if (bad !== undefined && Buffer.from(message.data).toString() === bad)
            throw failure('22P02', `invalid input syntax for type integer: "${bad}"`)
          count++
          break
        case 'copyDone':
          return this.#queue({ kind: 'commandComplete', tag: `COPY ${count}` })
        case 'copyFail':
          throw failure('57014', `COPY from stdin failed: ${message.reason}`)
        case 'sync':
        case 'flush':
          break
        default:
          // A server has read no more of it than its type, and has lost its place.
          this.#fatal('08P01', 'terminating connection because protocol synchronization was lost')
          return new Promise(() => {})
      }
    }
  }

  async #wait(until: Promise<unknown>): Promise<void> {
    this.#write()
    const canceled = new Promise<'canceled'>((resolve) => {
      this.#canceled = () => resolve('canceled')
    })
    const ended = await Promise.race([until, canceled])
    this.#canceled = undefined
    if (ended === 'canceled') throw failure('57014', 'canceling statement due to user request')
  }

  /** Follows the transaction; the tag where it differs from the statement's word. */
  #transact(sql: string): string | undefined {
    const word = /^\s*(\w+)(\s+to\b)?/i.exec(sql)
    switch (word?.[1]?.toUpperCase()) {
      case 'BEGIN':
        this.#status = 'transaction'
        return undefined
      case 'COMMIT': {
        const failed = this.#status === 'failed'
        this.#status = 'idle'
        return failed ? 'ROLLBACK' : undefined
      }
      case 'ROLLBACK':
        this.#status = word?.[2] === undefined ? 'idle' : 'transaction'
        return undefined
      default:
        return undefined
    }
  }

  #checkTransaction(sql: string): void {
    if (this.#status !== 'failed' || /^\s*(?:commit|rollback)\b/i.test(sql)) return
    throw failure('25P02', 'current transaction is aborted, commands ignored until end of transaction block')
  }

  #answersTo(sql: string, values: Values): readonly Answer[] {
    const answers = this.#server.answersTo(sql, values)
    if (answers === undefined) throw failure('42601', 'no answer was scripted for this statement')
    return answers
  }

  #statement(name: string): Statement {
    const statement = this.#statements.get(name)
    if (statement === undefined) throw failure('26000', `prepared statement "${name}" does not exist`)
    return statement
  }

  #portal(name: string): Portal {
    const portal = this.#portals.get(name)
    if (portal === undefined) throw failure('34000', `portal "${name}" does not exist`)
    return portal
  }

  #fail(error: Failure): void {
    if (this.#status === 'transaction') this.#status = 'failed'
    this.#queue({ kind: 'errorResponse', fields: error.fields })
  }

  async #skipToSync(): Promise<void> {
    this.#write()
    for (let message = await this.#next(); message !== undefined; message = await this.#next()) {
      if (message.kind === 'sync') return
    }
  }

  // Messages to bytes.

  #queue(...messages: readonly ServerMessage[]): void {
    if (this.#closed) return
    const bytes = encodeServer(...messages)
    this.#pending.push(bytes)
    this.#pendingBytes += bytes.length
  }

  #write(): boolean {
    if (this.#pendingBytes === 0 || this.#closed) return true
    const bytes = Buffer.concat(this.#pending)
    this.#pending = []
    this.#pendingBytes = 0
    return this.#pipe.write(bytes)
  }

  /** Between rows: writes what has gathered, and waits while the reader is slow. Throws when the client has gone. */
  async #room(): Promise<void> {
    if (this.#pendingBytes >= WRITE_BYTES && !this.#write()) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve
      })
      this.#drained = undefined
    }
    if (this.#closed) throw failure('08006', 'the client has gone')
  }

  /** The next message, in its order. Undefined: the client has gone. */
  async #next(): Promise<ClientMessage | undefined> {
    while (this.#messages.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve
      })
    }
    const message = this.#messages.shift()
    if (this.#messages.length === AHEAD_MAX) this.#pipe.resume()
    return message
  }

  #fatal(code: string, message: string): void {
    this.send({ kind: 'errorResponse', fields: { severity: 'FATAL', code, message } })
    this.#pipe.end()
    this.#close()
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#pipe.end()
    this.#server.forget(this)
    this.#arrived?.()
    this.#drained?.()
    this.#canceled?.()
  }
}

function withFormats<T extends { readonly format: number }>(
  fields: readonly T[],
  formats: readonly number[],
): T[] {
  return fields.map((field, i) => ({
    ...field,
    format: (formats.length === 1 ? formats[0] : formats[i]) ?? 0,
  }))
}
