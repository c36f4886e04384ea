import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Entry } from '../core/index.ts'
import { assertNever, COMMAND_CLASSES } from '../core/index.ts'

/** What is asked for when somebody reads the metrics, instead of being counted. */
export type Gauges = {
  sessions(): number
  heldNow(): number
  sealer(): SealerFigures
  outlets(): readonly OutletFigures[]
  /** Undefined without an object store. */
  store(): StoreFigures | undefined
  channels(): readonly ChannelFigures[]
}

/** How a channel of approvals does. */
export type ChannelFigures = {
  readonly name: string
  readonly waiting: number
  readonly sent: number
  readonly failures: number
  readonly undelivered: number
}

/** How far the object store is behind what is sealed. */
export type StoreFigures = {
  readonly waitingFiles: number
  readonly waitingBytes: number
  readonly spoolBytes: number
  readonly logEntries: number
  readonly refused: number
  readonly faults: number
}

/** How far an outlet is behind what is written. */
export type OutletFigures = {
  readonly name: string
  readonly lagFrames: number
  readonly delivered: number
  readonly missed: number
  readonly faults: number
  /** Whether it was refused, and is tried again only now and then. */
  readonly parked: boolean
}

/** How far the log is behind what is written. */
export type SealerFigures = {
  readonly lagFrames: number
  readonly lagMs: number
  /** Entries of the log. */
  readonly size: number
  readonly faults: number
  /** Whether it has stopped for good. */
  readonly stopped: boolean
  readonly witnesses: { readonly cosigned: readonly string[]; readonly failed: readonly string[] }
}

const DECISIONS = ['allow', 'hold', 'deny'] as const
const OUTCOMES = ['ok', 'error', 'cut', 'refused', 'skipped', 'lost'] as const
/** From a write into the kernel's cache to a disk that has a bad day. */
const FLUSH_SECONDS = [0.00002, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1]

/** How many times are noted before the library sorts them into its buckets, all at once. */
const NOTED_MAX = 1_024

/**
 * The gateway's figures. What every command passes is counted in plain numbers, which become Prometheus's only when
 * somebody reads them.
 */
export class Metrics {
  readonly #registry = new Registry()
  readonly #flush: Histogram
  readonly #noted = new Float64Array(NOTED_MAX)
  #notedCount = 0
  readonly #commands = new Map<string, number>()
  readonly #outcomes = new Map<string, number>()
  readonly #sums = { opened: 0, masked: 0, rows: 0, bytes: 0, admin: 0, unwritten: 0 }

  constructor(gauges: Gauges) {
    const registers: Registry[] = []
    const add = (metric: Gauge | Counter): void => this.#registry.registerMetric(metric)
    collectDefaultMetrics({ register: this.#registry })
    const sort = (): void => this.#sort()
    this.#flush = new Histogram({
      name: 'sluice_journal_flush_seconds',
      help: 'Time of one write of the journal.',
      buckets: FLUSH_SECONDS,
      registers: [this.#registry],
      collect: sort,
    })
    add(
      new Gauge({
        name: 'sluice_sessions',
        help: 'Sessions open now.',
        registers,
        collect() {
          this.set(gauges.sessions())
        },
      }),
    )
    add(
      new Gauge({
        name: 'sluice_approvals_pending',
        help: 'Commands that wait for an answer now.',
        registers,
        collect() {
          this.set(gauges.heldNow())
        },
      }),
    )
    const gauge = (name: string, help: string, value: (sealer: SealerFigures) => number): void => {
      add(
        new Gauge({
          name,
          help,
          registers,
          collect() {
            this.set(value(gauges.sealer()))
          },
        }),
      )
    }
    gauge('sluice_sealer_lag_frames', 'Frames written that no checkpoint covers.', (each) => each.lagFrames)
    gauge('sluice_sealer_lag_seconds', 'How long there have been any.', (each) => each.lagMs / 1000)
    gauge('sluice_sealer_stopped', '1: the sealer has stopped over damage.', (each) => (each.stopped ? 1 : 0))
    gauge('sluice_sealer_faults', 'Faults of the sealer since the start.', (each) => each.faults)
    gauge('sluice_log_entries', 'Entries of the log that a checkpoint covers.', (each) => each.size)
    gauge(
      'sluice_witnesses_failing',
      'Witnesses that did not cosign when last asked.',
      (each) => each.witnesses.failed.length,
    )
    const outlet = (name: string, help: string, value: (outlet: OutletFigures) => number): void => {
      add(
        new Gauge({
          name,
          help,
          labelNames: ['outlet'],
          registers,
          collect() {
            this.reset()
            for (const each of gauges.outlets()) this.set({ outlet: each.name }, value(each))
          },
        }),
      )
    }
    outlet(
      'sluice_stream_lag_frames',
      'Frames written that an outlet is not done with.',
      (each) => each.lagFrames,
    )
    outlet('sluice_stream_delivered', 'Events that an outlet took since the start.', (each) => each.delivered)
    outlet('sluice_stream_missed', 'Frames or events that an outlet will never get.', (each) => each.missed)
    outlet('sluice_stream_faults', 'Faults of an outlet since the start.', (each) => each.faults)
    outlet('sluice_stream_parked', '1: an outlet refuses what it gets.', (each) => (each.parked ? 1 : 0))
    const channel = (name: string, help: string, value: (channel: ChannelFigures) => number): void => {
      add(
        new Gauge({
          name,
          help,
          labelNames: ['channel'],
          registers,
          collect() {
            this.reset()
            for (const each of gauges.channels()) this.set({ channel: each.name }, value(each))
          },
        }),
      )
    }
    channel('sluice_notifications_waiting', 'Notifications that wait for a channel.', (each) => each.waiting)
    channel(
      'sluice_notifications_sent',
      'Notifications that a channel took since the start.',
      (each) => each.sent,
    )
    channel('sluice_notifications_failures', 'Attempts that failed since the start.', (each) => each.failures)
    channel(
      'sluice_notifications_undelivered',
      'Notifications that were given up since the start.',
      (each) => each.undelivered,
    )
    const store = (name: string, help: string, value: (store: StoreFigures) => number): void => {
      add(
        new Gauge({
          name,
          help,
          registers,
          collect() {
            const figures = gauges.store()
            this.reset()
            if (figures !== undefined) this.set(value(figures))
          },
        }),
      )
    }
    store('sluice_store_waiting_files', 'Session files not in the object store.', (each) => each.waitingFiles)
    store('sluice_store_waiting_bytes', 'Their bytes.', (each) => each.waitingBytes)
    store('sluice_store_spool_bytes', 'Bytes of session files on this machine.', (each) => each.spoolBytes)
    store('sluice_store_log_entries', 'Entries of the log in the object store.', (each) => each.logEntries)
    store('sluice_store_refused', 'Sessions of which the store has something else.', (each) => each.refused)
    store('sluice_store_faults', 'Faults of the object store since the start.', (each) => each.faults)
    const sums = this.#sums
    const total = (name: string, help: string, key: keyof typeof sums): void => {
      add(
        new Counter({
          name,
          help,
          registers,
          collect() {
            this.reset()
            this.inc(sums[key])
          },
        }),
      )
    }
    total('sluice_sessions_opened_total', 'Sessions opened since the start.', 'opened')
    total('sluice_commands_masked_total', 'Commands with masked values in their results.', 'masked')
    total('sluice_result_rows_total', 'Rows that clients got.', 'rows')
    total('sluice_result_bytes_total', 'Bytes of results that clients got.', 'bytes')
    total('sluice_admin_entries_total', 'Administrative entries recorded.', 'admin')
    total('sluice_journal_failures_total', 'Writes of the journal that failed.', 'unwritten')
    const commands = this.#commands
    for (const decision of DECISIONS) {
      for (const kind of COMMAND_CLASSES) commands.set(`${decision} ${kind}`, 0)
    }
    add(
      new Counter({
        name: 'sluice_commands_total',
        help: 'Commands decided, by decision and class.',
        labelNames: ['decision', 'class'],
        registers,
        collect() {
          this.reset()
          for (const [key, value] of commands) {
            const [decision = '', kind = ''] = key.split(' ')
            this.inc({ decision, class: kind }, value)
          }
        },
      }),
    )
    const outcomes = this.#outcomes
    for (const outcome of OUTCOMES) outcomes.set(outcome, 0)
    add(
      new Counter({
        name: 'sluice_outcomes_total',
        help: 'Commands ended, by how they ended.',
        labelNames: ['outcome'],
        registers,
        collect() {
          this.reset()
          for (const [outcome, value] of outcomes) this.inc({ outcome }, value)
        },
      }),
    )
  }

  count(entry: Entry): void {
    switch (entry.kind) {
      case 'open':
        this.#sums.opened++
        return
      case 'intent': {
        const { decision, class: kind, masked } = entry.head
        increment(this.#commands, `${decision} ${kind}`)
        if (masked !== undefined && masked.length > 0) this.#sums.masked++
        return
      }
      case 'outcome':
        increment(this.#outcomes, entry.head.outcome)
        this.#sums.rows += entry.head.rows
        this.#sums.bytes += entry.head.bytes
        return
      case 'admin':
        this.#sums.admin++
        return
      case 'hold':
      case 'answer':
      case 'result':
      case 'input':
      case 'notice':
      case 'close':
        return
      default:
        assertNever(entry)
    }
  }

  flushed(seconds: number): void {
    this.#noted[this.#notedCount++] = seconds
    if (this.#notedCount === NOTED_MAX) this.#sort()
  }

  #sort(): void {
    for (const seconds of this.#noted.subarray(0, this.#notedCount)) this.#flush.observe(seconds)
    this.#notedCount = 0
  }

  failed(): void {
    this.#sums.unwritten++
  }

  /** In Prometheus's text form, version 0.0.4. */
  async text(): Promise<string> {
    return await this.#registry.metrics()
  }
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
