import { GatewayError, LIMITS } from '../core/index.ts'
import type { Pipe } from '../core/index.ts'
import { lookup } from 'node:dns/promises'
import { Socket, isIP } from 'node:net'
import type { SocketConnectOpts } from 'node:net'
import { PIPE_OPTIONS, SocketPipe } from './socket-pipe.ts'

export type DialTarget = {
  /** A name, an address, or the directory of a Unix socket when it begins with `/`. */
  readonly host: string
  readonly port: number
  /** For everything: resolving the name and all attempts together. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/**
 * Connects to an upstream. A name is resolved once and what it resolved to is connected to, in the resolver's order,
 * so that no second answer of a name server can lead elsewhere. The pipe's `remote` is the address that answered.
 * Throws GatewayError `upstream_unreachable`, which names host and port and nothing else.
 */
export async function dial(target: DialTarget): Promise<Pipe> {
  const deadline = performance.now() + target.timeoutMs
  if (target.host.startsWith('/')) {
    // The file name is libpq's: https://www.postgresql.org/docs/current/runtime-config-connection.html
    const path = `${target.host.replace(/\/+$/, '')}/.s.PGSQL.${target.port}`
    return connect(target, { path }, { address: path, port: target.port }, target.timeoutMs)
  }
  const addresses = await resolve(target)
  let failure: unknown
  for (const [n, address] of addresses.entries()) {
    const left = deadline - performance.now()
    if (left <= 0) break
    try {
      const attemptMs = left / (addresses.length - n)
      return await connect(
        target,
        { host: address, port: target.port },
        { address, port: target.port },
        attemptMs,
      )
    } catch (error) {
      if (target.signal?.aborted === true) throw error
      failure = error
    }
  }
  throw failure ?? unreachable(target, 'did not answer in time')
}

async function resolve(target: DialTarget): Promise<readonly string[]> {
  if (isIP(target.host) !== 0) return [target.host]
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unreachable(target, 'could not be resolved in time')), target.timeoutMs)
  })
  try {
    const found = await Promise.race([lookup(target.host, { all: true, order: 'verbatim' }), late])
    return found.slice(0, LIMITS.dialAddressesMax).map((each) => each.address)
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw unreachable(target, 'has a name that cannot be resolved', error)
  } finally {
    clearTimeout(timer)
  }
}

function connect(
  target: DialTarget,
  where: SocketConnectOpts,
  remote: { readonly address: string; readonly port: number },
  timeoutMs: number,
): Promise<Pipe> {
  return new Promise((fulfil, reject) => {
    if (target.signal?.aborted === true) {
      reject(unreachable(target, 'was given up before it answered'))
      return
    }
    let socket: Socket | undefined
    const pipe = new SocketPipe((onread) => {
      socket = new Socket({ ...PIPE_OPTIONS, onread })
      return { socket, reading: 'shared buffer' }
    }, remote)
    const fail = (why: string, cause?: unknown): void => {
      settle()
      pipe.destroy()
      reject(unreachable(target, why, cause))
    }
    const timer = setTimeout(() => fail('did not answer in time'), timeoutMs)
    const abort = (): void => fail('was given up before it answered')
    const settle = (): void => {
      clearTimeout(timer)
      target.signal?.removeEventListener('abort', abort)
      pipe.onClose = nothing
    }
    target.signal?.addEventListener('abort', abort, { once: true })
    pipe.onClose = (error) => fail(reasonOf(error), error)
    socket?.connect(where, () => {
      settle()
      fulfil(pipe)
    })
  })
}

function nothing(): void {
  // Until the owner sets its own handler there is nobody to tell.
}

function reasonOf(error: Error | undefined): string {
  const code: unknown = error === undefined ? undefined : Reflect.get(error, 'code')
  if (code === 'ECONNREFUSED') return 'refused the connection'
  if (code === 'ENOENT') return 'has no such socket'
  if (code === 'EACCES') return 'may not be opened by this process'
  return 'could not be reached'
}

function unreachable(target: DialTarget, why: string, cause?: unknown): GatewayError {
  const at = target.host.startsWith('/')
    ? `${target.host} (port ${target.port})`
    : `${target.host}:${target.port}`
  return new GatewayError('upstream_unreachable', `The upstream ${at} ${why}.`, {
    remedy: 'Check that the upstream runs and that host and port of the connection are right.',
    retry: 'later',
    cause,
    facts: { host: target.host, port: target.port },
  })
}
