import { createSocket } from 'node:dgram'
import { isIP, connect as connectTcp, type Socket } from 'node:net'
import { hostname } from 'node:os'
import { connect as connectTls } from 'node:tls'
import { LIMITS } from '../../core/index.ts'
import type { RecordedEvent } from '../events/assembler.ts'
import { refused, type Sender, type Taken, undelivered } from './sender.ts'
import type { OutletSecrets, SyslogSettings } from './settings.ts'
import { octetCounted, syslogDatagram, syslogMessage } from './syslog-format.ts'

const ALL_TAKEN: Taken = { rejected: 0 }
/** A connection for each batch is worth waiting a moment for. */
const LINGER_CLOSING_MS = 5_000
const LINGER_MS = 1_000
/** From the last byte to our end of the connection: longer than anything is on its way. */
const LATE_MS = 250

/** Sends to a syslog receiver. */
export function syslogSender(settings: SyslogSettings): Sender {
  return settings.transport === 'udp' ? new DatagramSender(settings) : new StreamSender(settings)
}

/** What one sees of a receiver; never what was sent. */
function reasonOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason'
}

/**
 * TCP and TLS. Syslog has no acknowledgements: that the network took the bytes says nothing of a receiver that dies with
 * them unread. A receiver closes its end when it has read all that came before the end of ours, and resets the connection
 * when it closes with anything unread; so a batch has a connection of its own, and counts when both ends are closed, ours
 * first.
 */
class StreamSender implements Sender {
  readonly #settings: SyslogSettings
  readonly lingerMs: number
  #kept: Socket | undefined

  constructor(settings: SyslogSettings) {
    this.#settings = settings
    this.lingerMs = settings.confirm === 'close' ? LINGER_CLOSING_MS : LINGER_MS
  }

  async send(events: readonly RecordedEvent[], secrets: OutletSecrets, signal: AbortSignal): Promise<Taken> {
    const naming = { ...this.#settings, hostname: hostname() }
    const bytes = Buffer.concat(events.map((event) => octetCounted(syslogMessage(event, naming))))
    const socket = this.#kept?.writable === true ? this.#kept : await this.#connect(secrets, signal)
    this.#kept = undefined
    try {
      if (this.#settings.confirm === 'close') await this.#sendAndClose(socket, bytes, signal)
      else await this.#sendAndKeep(socket, bytes, signal)
    } catch (error) {
      socket.destroy()
      throw error
    }
    return ALL_TAKEN
  }

  async close(): Promise<void> {
    this.#kept?.destroy()
  }

  #connect(secrets: OutletSecrets, signal: AbortSignal): Promise<Socket> {
    const { host, port, transport } = this.#settings
    const socket =
      transport === 'tls'
        ? connectTls({
            host,
            port,
            ...(isIP(host) === 0 ? { servername: host } : {}),
            minVersion: 'TLSv1.2',
            ...(secrets.ca === undefined ? {} : { ca: secrets.ca }),
            ...(secrets.certificate === undefined ? {} : { cert: secrets.certificate }),
            ...(secrets.key === undefined ? {} : { key: secrets.key }),
          })
        : connectTcp({ host, port })
    // What a receiver says is not syslog's; unread, it would hold up the end of the connection.
    socket.resume()
    return settled(
      socket,
      signal,
      (done) => socket.once(transport === 'tls' ? 'secureConnect' : 'connect', () => done.resolve(socket)),
      (cause) =>
        isCertificateFault(cause)
          ? refused(
              `The certificate of ${this.#place} is not accepted (${reasonOf(cause)}).`,
              'Set ca of this outlet to the PEM of the authority that signed it, and host to a name that it has.',
              cause,
            )
          : undelivered(`${this.#place} cannot be reached (${reasonOf(cause)}).`, { cause }),
    )
  }

  #sendAndClose(socket: Socket, bytes: Buffer, signal: AbortSignal): Promise<void> {
    const early = `${this.#place} ended the connection before it had everything`
    return settled(
      socket,
      signal,
      (done) => {
        let isEnding = false
        socket.write(bytes, () => {
          // Whoever was closing anyway has closed, or reset, the connection by then.
          setTimeout(() => {
            isEnding = true
            socket.end()
          }, LATE_MS)
        })
        socket.once('end', () => {
          if (isEnding) done.resolve()
          else done.reject(undelivered(`${early}.`))
        })
      },
      (cause) => undelivered(`${early} (${reasonOf(cause)}).`, { cause }),
      `${this.#place} did not close the connection after ours was closed. If it never does, set confirm: none for this outlet`,
    )
  }

  async #sendAndKeep(socket: Socket, bytes: Buffer, signal: AbortSignal): Promise<void> {
    await settled<void>(
      socket,
      signal,
      (done) => socket.write(bytes, (error) => (error == null ? done.resolve() : undefined)),
      (cause) => undelivered(`${this.#place} ended the connection (${reasonOf(cause)}).`, { cause }),
    )
    // A connection that ends while nothing is sent is no fault: the next batch makes another.
    socket.on('error', () => undefined)
    this.#kept = socket
  }

  get #place(): string {
    return `${this.#settings.host}:${this.#settings.port}`
  }
}

/**
 * Waits for what `start` does with the socket; rejects when the socket fails or closes first, when it takes too long, and
 * when it is called off.
 */
async function settled<T>(
  socket: Socket,
  signal: AbortSignal,
  start: (done: PromiseWithResolvers<T>) => unknown,
  failure: (cause: unknown) => Error,
  late = 'it took too long',
): Promise<T> {
  const done = Promise.withResolvers<T>()
  const onError = (error: unknown): void => done.reject(failure(error))
  const onClose = (): void => done.reject(failure(undefined))
  const onAbort = (): void => done.reject(undelivered('The gateway stops.'))
  const timer = setTimeout(() => done.reject(undelivered(`${late}.`, { late: true })), LIMITS.streamAnswerMs)
  socket.once('error', onError)
  signal.addEventListener('abort', onAbort)
  if (signal.aborted) onAbort()
  try {
    start(done)
    socket.once('close', onClose)
    return await done.promise
  } catch (error) {
    socket.on('error', () => undefined)
    socket.destroy()
    throw error
  } finally {
    clearTimeout(timer)
    socket.off('error', onError)
    socket.off('close', onClose)
    signal.removeEventListener('abort', onAbort)
  }
}

function isCertificateFault(cause: unknown): boolean {
  const code = reasonOf(cause)
  return code.startsWith('ERR_TLS_CERT') || code.includes('CERT') || code.startsWith('UNABLE_TO_')
}

/** UDP: nobody says whether anything arrived. */
class DatagramSender implements Sender {
  readonly lingerMs = LINGER_MS
  readonly #settings: SyslogSettings

  constructor(settings: SyslogSettings) {
    this.#settings = settings
  }

  async send(events: readonly RecordedEvent[], _secrets: OutletSecrets, signal: AbortSignal): Promise<Taken> {
    const { host, port, datagramBytesMax } = this.#settings
    const naming = { ...this.#settings, hostname: hostname() }
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    try {
      const failed = Promise.withResolvers<never>()
      socket.once('error', (error) => failed.reject(error))
      socket.connect(port, host)
      await Promise.race([
        new Promise<void>((resolve) => void socket.once('connect', resolve)),
        failed.promise,
      ])
      for (const event of events) {
        if (signal.aborted) throw undelivered('The gateway stops.')
        const message = syslogDatagram(event, naming, datagramBytesMax)
        const sent = Promise.withResolvers<void>()
        socket.send(message, (error) => (error === null ? sent.resolve() : sent.reject(error)))
        await Promise.race([sent.promise, failed.promise])
      }
    } catch (cause) {
      throw undelivered(`${host}:${port} cannot be sent to (${reasonOf(cause)}).`, { cause })
    } finally {
      socket.close()
    }
    return ALL_TAKEN
  }

  async close(): Promise<void> {
    // Each batch has a socket of its own.
  }
}
