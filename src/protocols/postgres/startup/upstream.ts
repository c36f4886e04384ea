import type { ClientTls, Network, Pipe, RandomBytes, Secret, SecretRef } from '../../../core/index.ts'
import { GatewayError } from '../../../core/index.ts'
import type {
  ClientMessage,
  ErrorFields,
  FieldDescription,
  ServerMessage,
} from '../../../wire/postgres/index.ts'
import {
  decodeServer,
  encodeClient,
  encodeSslRequest,
  encodeStartup,
  md5Password,
  passwordBody,
  saslInitialBody,
  ScramClient,
} from '../../../wire/postgres/index.ts'
import { Inbox, nextBytes } from './inbox.ts'
import type { PostgresSettings } from '../settings.ts'

const DIAL_MS = 10_000
const SSL_YES = 0x53
const SSL_NO = 0x4e

/** A server that is logged in to and ready for the first command. */
export type UpstreamOpen = {
  readonly pipe: Pipe
  /** ParameterStatus messages in order. */
  readonly parameters: ReadonlyMap<string, string>
  readonly processId: number
  /** In hexadecimal: a session keeps it for its whole life, and a Buffer costs twenty times its bytes. */
  readonly key: string
  /** Bytes that arrived behind ReadyForQuery. */
  readonly rest: Buffer
}

/** The server said no at start-up, in its own words: what `psql` would show is what our client is shown. */
export class UpstreamRefused extends Error {
  override readonly name = 'UpstreamRefused'
  readonly fields: ErrorFields

  constructor(fields: ErrorFields) {
    super('the upstream refused the session')
    this.fields = fields
  }
}

export type UpstreamPorts = {
  readonly network: Network
  readonly random: RandomBytes
  resolveSecret(reference: SecretRef): Promise<Secret>
  /** The server no longer takes what this gave. */
  forgetSecret?(reference: SecretRef): void
}

/** Dials the server and upgrades to TLS as `sslmode` asks. Throws GatewayError `upstream_unreachable`. */
export async function reachUpstream(ports: UpstreamPorts, settings: PostgresSettings): Promise<Pipe> {
  const { host, port, sslmode } = settings.upstream
  const plain = await ports.network.dial({ host, port, timeoutMs: DIAL_MS })
  if (sslmode === 'disable' || host.startsWith('/')) return plain
  try {
    plain.write(encodeSslRequest())
    const answer = await nextBytes(plain, unreachable)
    // More than one byte came before TLS and must not be believed (CVE-2021-23222).
    if (answer.length !== 1)
      throw new GatewayError('upstream_unreachable', 'The upstream answered TLS with data.')
    if (answer[0] === SSL_NO && sslmode === 'prefer') return plain
    if (answer[0] !== SSL_YES)
      throw new GatewayError('upstream_unreachable', 'The upstream does not speak TLS.')
    const { sslrootcert, sslcert, sslkey } = settings.upstream
    return await ports.network.secureClient(plain, {
      verify: verificationOf(settings),
      servername: host,
      ...(sslrootcert === undefined ? {} : { ca: (await secretOf(ports, sslrootcert)).reveal() }),
      ...(sslcert === undefined ? {} : { certificate: (await secretOf(ports, sslcert)).reveal() }),
      ...(sslkey === undefined ? {} : { key: await secretOf(ports, sslkey) }),
    })
  } catch (error) {
    plain.destroy()
    throw error
  }
}

/**
 * As libpq has it, an authority that was given is used: `require` then checks as `verify-ca` does.
 * https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-CERTIFICATES
 */
function verificationOf({ upstream }: PostgresSettings): ClientTls['verify'] {
  switch (upstream.sslmode) {
    case 'verify-full':
      return 'full'
    case 'verify-ca':
      return 'ca'
    case 'require':
      return upstream.sslrootcert === undefined ? 'none' : 'ca'
    default:
      return 'none'
  }
}

/** Logs in and reads up to the first ReadyForQuery. Throws `UpstreamRefused` with the server's own error. */
export async function openUpstream(
  ports: UpstreamPorts,
  settings: PostgresSettings,
  database: string,
  parameters: ReadonlyMap<string, string>,
  minor: number,
): Promise<UpstreamOpen> {
  const pipe = await reachUpstream(ports, settings)
  try {
    const startup = new Map(parameters)
    const { user, login } = await loginOf(ports, settings)
    startup.set('user', user)
    startup.set('database', database)
    const inbox = new Inbox(pipe, unreachable)
    pipe.write(encodeStartup(startup, minor))
    await logIn(login, settings, user, pipe, inbox)
    return await readyUpstream(pipe, inbox)
  } catch (error) {
    pipe.destroy()
    const { password } = settings.upstream
    if (password !== undefined && isLoginRefused(error)) ports.forgetSecret?.(password)
    throw error
  }
}

/**
 * The role, and ports with whose password it logs in. Where both are made anew together, one may be replaced between two
 * questions: a password counts only if the role is still the same behind it.
 */
async function loginOf(
  ports: UpstreamPorts,
  { upstream }: PostgresSettings,
): Promise<{ readonly user: string; readonly login: UpstreamPorts }> {
  const { user: reference, password } = upstream
  if (reference.kind === 'literal') return { user: reference.value.reveal(), login: ports }
  for (let tries = 0; tries < ROLE_TRIES; tries++) {
    const user = (await secretOf(ports, reference)).reveal()
    if (password === undefined) return { user, login: ports }
    const secret = await secretOf(ports, password)
    if ((await secretOf(ports, reference)).reveal() !== user) continue
    const resolveSecret = async (asked: SecretRef): Promise<Secret> =>
      asked === password ? secret : await ports.resolveSecret(asked)
    return { user, login: { network: ports.network, random: ports.random, resolveSecret } }
  }
  throw refused('The role of this connection changes all the time.')
}

const ROLE_TRIES = 3

/** Class 28, invalid authorization. https://www.postgresql.org/docs/current/errcodes-appendix.html */
function isLoginRefused(error: unknown): boolean {
  return error instanceof UpstreamRefused && error.fields.code?.startsWith('28') === true
}

async function readyUpstream(pipe: Pipe, inbox: Inbox): Promise<UpstreamOpen> {
  const parameters = new Map<string, string>()
  let processId = 0
  let key = ''
  for (;;) {
    const message = await nextMessage(inbox)
    switch (message.kind) {
      case 'parameterStatus':
        parameters.set(message.name, message.value)
        break
      case 'backendKeyData':
        processId = message.processId
        key = Buffer.from(message.key).toString('hex')
        break
      case 'readyForQuery':
        return { pipe, parameters, processId, key, rest: inbox.detach() }
      case 'noticeResponse':
      case 'negotiateProtocolVersion':
        break
      default:
        throw new GatewayError(
          'upstream_unreachable',
          'The upstream began a session in a way that is not known.',
        )
    }
  }
}

async function logIn(
  ports: UpstreamPorts,
  settings: PostgresSettings,
  user: string,
  pipe: Pipe,
  inbox: Inbox,
): Promise<void> {
  const { channelBinding } = settings.upstream
  let bound = channelBinding !== 'require'
  for (;;) {
    const message = await nextMessage(inbox)
    // Only SCRAM binds a login to its channel. Whoever sits between us and the server would ask for something else.
    if (!bound && message.kind !== 'authenticationSasl' && message.kind !== 'negotiateProtocolVersion')
      throw refused(
        'The upstream does not bind the login to its TLS channel, and channel binding is required.',
      )
    switch (message.kind) {
      case 'authenticationOk':
        return
      case 'negotiateProtocolVersion':
        break
      case 'authenticationCleartextPassword': {
        if (pipe.tls === undefined) throw refused('The upstream asks for a password in clear outside TLS.')
        const password = await passwordOf(ports, settings)
        pipe.write(encodeClient({ kind: 'password', body: passwordBody(password.reveal()) }))
        break
      }
      case 'authenticationMd5Password': {
        const password = await passwordOf(ports, settings)
        pipe.write(
          encodeClient({ kind: 'password', body: passwordBody(md5Password(user, password, message.salt)) }),
        )
        break
      }
      case 'authenticationSasl':
        await scram(ports, settings, pipe, inbox, message.mechanisms)
        bound = true
        break
      default:
        throw refused('The upstream asks for a way of logging in that the gateway does not know.')
    }
  }
}

async function scram(
  ports: UpstreamPorts,
  settings: PostgresSettings,
  pipe: Pipe,
  inbox: Inbox,
  mechanisms: readonly string[],
): Promise<void> {
  const client = new ScramClient({
    password: await passwordOf(ports, settings),
    mechanisms,
    endPointHash: pipe.tls?.endPointHash,
    bindingRequired: settings.upstream.channelBinding === 'require',
    random: ports.random,
  })
  pipe.write(encodeClient({ kind: 'password', body: saslInitialBody(client.mechanism, client.first()) }))
  const first = await nextMessage(inbox)
  if (first.kind !== 'authenticationSaslContinue') throw refused('The upstream broke off the login.')
  pipe.write(encodeClient({ kind: 'password', body: await client.final(first.data) }))
  const last = await nextMessage(inbox)
  if (last.kind !== 'authenticationSaslFinal') throw refused('The upstream broke off the login.')
  client.verify(last.data)
}

/** The server closes when it has sent the signal; one that does not is not waited for. */
const CANCEL_MS = 5_000

/**
 * Asks the server to cancel what a session is doing; on a pipe of its own, as the protocol wants it. Resolves when the
 * server has closed it, behind which no command is hit that is sent later, or after five seconds.
 */
export async function cancelUpstream(
  ports: UpstreamPorts,
  settings: PostgresSettings,
  request: Buffer,
): Promise<void> {
  const pipe = await reachUpstream(ports, settings)
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => pipe.destroy(), CANCEL_MS).unref()
    pipe.onClose = () => {
      clearTimeout(timer)
      resolve()
    }
    pipe.onEnd = () => pipe.end()
    pipe.resume()
    pipe.write(request)
  })
}

async function passwordOf(ports: UpstreamPorts, settings: PostgresSettings): Promise<Secret> {
  const { password } = settings.upstream
  if (password === undefined) throw refused('The upstream asks for a password and this connection has none.')
  return secretOf(ports, password)
}

/** Where a secret comes from is nothing to tell a client. */
async function secretOf(ports: UpstreamPorts, reference: SecretRef): Promise<Secret> {
  try {
    return await ports.resolveSecret(reference)
  } catch (cause) {
    throw new GatewayError('upstream_unreachable', 'The credential of this connection cannot be had.', {
      remedy: 'Whoever runs the gateway finds the reason with: sluice doctor',
      retry: 'later',
      cause,
    })
  }
}

async function nextMessage(inbox: Inbox): Promise<ServerMessage> {
  const { type, body } = await inbox.next()
  const message = decodeServer(type, body)
  if (message.kind === 'errorResponse') throw new UpstreamRefused(message.fields)
  return message
}

function unreachable(): GatewayError {
  return new GatewayError(
    'upstream_unreachable',
    'The upstream closed the connection before the session began.',
    {
      remedy: 'Check the upstream of this connection with: sluice doctor',
      retry: 'later',
    },
  )
}

function refused(message: string): GatewayError {
  return new GatewayError('upstream_unreachable', message, {
    remedy: 'Check this connection with: sluice doctor',
  })
}

/** Parameters as a client has bound them. */
export type BoundParameters = {
  readonly values: readonly (Uint8Array | null)[]
  /** As in Bind: none, one for all, or one for each. */
  readonly formats: readonly number[]
  readonly types: readonly number[]
}

export const NO_PARAMETERS: BoundParameters = { values: [], formats: [], types: [] }

/** `isSuspended`: there are more. */
export type FirstRows = {
  readonly fields: readonly FieldDescription[]
  readonly rows: readonly (readonly (Buffer | null)[])[]
  readonly isSuspended: boolean
}

/**
 * A client of the gateway's own, for its catalogue queries: one text query at a time, on a session of its own that
 * never carries anything of a client's.
 */
export class UpstreamClient {
  readonly #open: UpstreamOpen
  readonly #inbox: Inbox

  constructor(open: UpstreamOpen) {
    this.#open = open
    this.#inbox = new Inbox(open.pipe, unreachable, open.rest)
  }

  /** Rows as text. Throws `UpstreamRefused` with the server's error. */
  query(sql: string): Promise<(string | null)[][]> {
    return this.#ask({ kind: 'query', sql: Buffer.from(sql) })
  }

  /** The same for one statement with parameters; a text of several statements is refused by the server. */
  prepared(sql: string, parameters: BoundParameters): Promise<(string | null)[][]> {
    const { values, formats, types } = parameters
    return this.#ask(
      { kind: 'parse', statement: '', sql: Buffer.from(sql), parameterTypes: types },
      { kind: 'bind', portal: '', statement: '', parameterFormats: formats, values, resultFormats: [] },
      { kind: 'execute', portal: '', rowsMax: 0 },
      { kind: 'sync' },
    )
  }

  /**
   * The first `rowsMax` rows of one statement, as bytes of text, and what they are. A statement that changes rows runs to its end
   * whatever is fetched of it; inside a transaction only.
   */
  async firstRows(
    sql: string,
    { values, formats, types }: BoundParameters,
    rowsMax: number,
  ): Promise<FirstRows> {
    const found: { fields: readonly FieldDescription[]; rows: (Buffer | null)[][] } = { fields: [], rows: [] }
    let isSuspended = false
    await this.#asked(
      (message) => {
        if (message.kind === 'rowDescription') found.fields = message.fields
        else if (message.kind === 'portalSuspended') isSuspended = true
        else if (message.kind === 'dataRow')
          found.rows.push(message.cells.map((cell) => (cell === null ? null : Buffer.from(cell))))
      },
      { kind: 'parse', statement: '', sql: Buffer.from(sql), parameterTypes: types },
      { kind: 'bind', portal: '', statement: '', parameterFormats: formats, values, resultFormats: [] },
      { kind: 'describe', what: 'portal', name: '' },
      { kind: 'execute', portal: '', rowsMax },
      { kind: 'sync' },
    )
    return { ...found, isSuspended }
  }

  async #ask(...messages: readonly ClientMessage[]): Promise<(string | null)[][]> {
    const rows: (string | null)[][] = []
    await this.#asked(
      (message) => {
        if (message.kind === 'dataRow')
          rows.push(message.cells.map((cell) => (cell === null ? null : textOf(cell))))
      },
      ...messages,
    )
    return rows
  }

  async #asked(take: (message: ServerMessage) => void, ...messages: readonly ClientMessage[]): Promise<void> {
    let refusal: UpstreamRefused | undefined
    this.#open.pipe.write(encodeClient(...messages))
    for (;;) {
      const { type, body } = await this.#inbox.next()
      const message = decodeServer(type, body)
      if (message.kind === 'errorResponse') refusal = new UpstreamRefused(message.fields)
      else if (message.kind === 'readyForQuery') break
      else take(message)
    }
    if (refusal !== undefined) throw refusal
  }

  /** Gives the session away: what was read behind the last answer. */
  release(): Buffer {
    return this.#inbox.detach()
  }

  close(): void {
    this.#open.pipe.end(encodeClient({ kind: 'terminate' }))
  }
}

function textOf(cell: Uint8Array): string {
  return Buffer.from(cell.buffer, cell.byteOffset, cell.length).toString('utf8')
}
