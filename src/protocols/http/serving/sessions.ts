import type { Socket } from 'node:net'
import type { Connection, Credential, GatewayError as Failure, Timer } from '../../../core/index.ts'
import { GatewayError, LIMITS } from '../../../core/index.ts'
import type { ProtocolContext, Session } from '../../../session/index.ts'

/** One credential on one socket: the session of HTTP. */
export type HttpSession = {
  readonly session: Session
  readonly socket: Socket
  readonly key: string
  /** Requests on their way. */
  active: number
  idle: Timer | undefined
  /** Set once it is to end: it does with the last request on its way, whose outcome stands before the end. */
  ending: string | undefined
  /** Gives up the requests on their way; each tells its client the reason. */
  readonly stops: Set<(reason: Failure) => void>
}

function tooMany(): Failure {
  return new GatewayError(
    'limit_exceeded',
    'Wait for answers: too many requests are on their way on this line.',
    {
      retry: 'later',
    },
  )
}

/** From a revocation to the cut: time to say why, within the two seconds in which a session has to be over. */
const FAREWELL_MS = 1_000

/** Ends after five idle minutes, with the socket, or when the credential ends. */
export class HttpSessions {
  readonly #context: ProtocolContext
  readonly #bySocket = new WeakMap<Socket, Map<string, HttpSession>>()

  constructor(context: ProtocolContext) {
    this.#context = context
  }

  /**
   * The session a request belongs to, opened if it is the first. `leave` when the request has ended. Throws GatewayError
   * `limit_exceeded` with `LIMITS.httpRequestsPerSocketMax` of them on their way: all behind each other would be judged at once.
   */
  enter(socket: Socket, credential: Credential, connection: Connection, program: string): HttpSession {
    let sessions = this.#bySocket.get(socket)
    if (sessions === undefined) {
      const made = new Map<string, HttpSession>()
      this.#bySocket.set(socket, made)
      socket.once('close', () => {
        for (const each of made.values()) this.#end(each, 'client gone')
      })
      sessions = made
    }
    const key = `${credential.id} ${connection.name}`
    const known = sessions.get(key)
    if (known !== undefined && known.active >= LIMITS.httpRequestsPerSocketMax) throw tooMany()
    const entered = known ?? this.#open(socket, key, credential, connection, program)
    sessions.set(key, entered)
    entered.active++
    entered.idle?.cancel()
    entered.idle = undefined
    return entered
  }

  leave(entered: HttpSession): void {
    entered.active--
    if (entered.active > 0) return
    if (entered.ending !== undefined) {
      entered.session.close(entered.ending)
      return
    }
    entered.idle = this.#context.gateway.clock.after(LIMITS.httpSessionIdleMs, () =>
      this.#end(entered, 'idle'),
    )
  }

  #open(
    socket: Socket,
    key: string,
    credential: Credential,
    connection: Connection,
    program: string,
  ): HttpSession {
    const session = this.#context.gateway.open({
      chain: credential.chain,
      connection,
      credential: credential.id,
      mintedBy: credential.mintedBy,
      clientAddress: `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`,
      program,
      database: '',
      isIdle: () => opened.active === 0,
      onTerminate: (reason) => {
        this.#end(opened, reason.code)
        if (opened.active === 0) {
          socket.destroy()
          return
        }
        for (const stop of opened.stops) stop(reason)
        this.#context.gateway.clock.after(FAREWELL_MS, () => socket.destroy())
      },
    })
    const opened: HttpSession = {
      session,
      socket,
      key,
      active: 0,
      idle: undefined,
      ending: undefined,
      stops: new Set(),
    }
    // What is not recorded does not happen; the request that met this tells its client.
    session.watch(
      () => undefined,
      () => this.#end(opened, 'recording unavailable'),
    )
    return opened
  }

  #end(ended: HttpSession, reason: string): void {
    ended.idle?.cancel()
    const sessions = this.#bySocket.get(ended.socket)
    if (sessions?.get(ended.key) === ended) sessions.delete(ended.key)
    ended.ending ??= reason
    if (ended.active === 0) ended.session.close(ended.ending)
  }
}
