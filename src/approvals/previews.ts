import type { AdminHead, Clock, Preview, PreviewRun, PreviewViewer, Ticket } from '../core/index.ts'
import { asGatewayError, GatewayError, LIMITS } from '../core/index.ts'

/** At once: each takes a connection of an upstream, and holds locks. */
const RUNNING_MAX = 2
/** Of one person in a minute. */
const PER_MINUTE = 30
const MINUTE_MS = 60_000
/** Results that are kept to be shown again. */
const KEPT_MAX = 200

type Parts = {
  readonly clock: Pick<Clock, 'now'>
  /** Puts into the recording what is about to be done and what came of it; when it throws nothing is done. */
  readonly record: (head: AdminHead) => void
}

/**
 * Held commands that can be tried out for who is to answer, as long as this process remembers them: what they say exactly is in
 * memory alone. Bounded in number, in how many run at once, and in how many one person may have in a minute.
 */
export class Previews {
  readonly #parts: Parts
  readonly #offers = new Map<Ticket, PreviewRun>()
  readonly #kept = new Map<string, Preview>()
  readonly #running = new Set<Ticket>()
  readonly #asked = new Map<string, number[]>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** A command is held, and this is how it would be tried out. */
  offer(ticket: Ticket, run: PreviewRun): void {
    this.#offers.delete(ticket)
    this.#offers.set(ticket, run)
    for (const oldest of this.#offers.keys()) {
      if (this.#offers.size <= LIMITS.previewsOffered) break
      this.#offers.delete(oldest)
    }
  }

  /** It has been answered, or will not be any more. */
  forget(ticket: Ticket): void {
    this.#offers.delete(ticket)
    for (const key of this.#kept.keys()) if (key.startsWith(`${ticket} `)) this.#kept.delete(key)
  }

  has(ticket: Ticket): boolean {
    return this.#offers.has(ticket)
  }

  /** What this person has seen of it. */
  of(ticket: Ticket, person: string): Preview | undefined {
    return this.#kept.get(`${ticket} ${person}`)
  }

  /**
   * Tries a command out, for one person who may answer it. Throws GatewayError `unsupported` with the reason where that is not done,
   * `limit_exceeded`, `not_found`, `recording_unavailable`.
   */
  async run(ticket: Ticket, person: string, viewer: PreviewViewer): Promise<Preview> {
    const offer = this.#offers.get(ticket)
    if (offer === undefined) {
      throw new GatewayError('not_found', `This gateway cannot try out ${ticket}: it does not hold it.`, {
        ticket,
        remedy:
          'It is held by another gateway, was held before a restart, or is no statement for a database. Have it sent again.',
      })
    }
    this.#admit(ticket, person)
    const record = (details: AdminHead['details']): void =>
      this.#parts.record({ action: 'approval.previewed', by: person, target: ticket, details: details ?? {} })
    this.#running.add(ticket)
    try {
      const preview = await offer(viewer)
      record({
        ms: preview.ms,
        ...(preview.rows === undefined ? {} : { rows: preview.rows }),
        ...(preview.failure === undefined ? {} : { failure: preview.failure }),
        tables: preview.tables.length,
      })
      this.#keep(`${ticket} ${person}`, preview)
      return preview
    } catch (error) {
      record({ refused: asGatewayError(error).message })
      throw error
    } finally {
      this.#running.delete(ticket)
    }
  }

  #admit(ticket: Ticket, person: string): void {
    if (this.#running.has(ticket) || this.#running.size >= RUNNING_MAX) {
      throw new GatewayError('limit_exceeded', 'Wait: other commands are being tried out.', {
        ticket,
        retry: 'later',
      })
    }
    const now = this.#parts.clock.now()
    for (const [who, times] of this.#asked)
      if ((times.at(-1) ?? 0) <= now - MINUTE_MS) this.#asked.delete(who)
    const times = (this.#asked.get(person) ?? []).filter((at) => at > now - MINUTE_MS)
    if (times.length >= PER_MINUTE) {
      throw new GatewayError(
        'limit_exceeded',
        `Wait: you have had ${PER_MINUTE} commands tried out in a minute.`,
        {
          ticket,
          retry: 'later',
        },
      )
    }
    this.#asked.set(person, [...times, now])
  }

  #keep(key: string, preview: Preview): void {
    this.#kept.delete(key)
    this.#kept.set(key, preview)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_MAX) break
      this.#kept.delete(oldest)
    }
  }
}
