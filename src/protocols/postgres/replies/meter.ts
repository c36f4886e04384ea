import type { GatewayError, ResultLimit } from '../../../core/index.ts'
import type { HoldObserver, Permitted, Session } from '../../../session/index.ts'
import { HEADER_BYTES } from '../../../wire/postgres/index.ts'
import type { Portal } from '../pending.ts'
import type { ResultPlan } from '../results/results.ts'

const FOR_EVER = Number.POSITIVE_INFINITY
const NOTHING = { rows: 0, bytes: 0 }

/** What metering needs of the replies around it. */
export type MeterSurroundings = {
  readonly session: Session
  /** Nothing more is taken from the server until `work` has settled; `then` is told first whether it failed. */
  wait(
    work: (observer: HoldObserver) => Promise<void>,
    then: (refusal: GatewayError | undefined) => void,
  ): void
  /** The cursor that a statement of a command reads. */
  cursor(flight: Permitted, statement: number): Portal | undefined
  /** Bytes that are gathered go out before anything is said. */
  takeRows(): void
  /** The result ends here: what the client is told in place of its rest. */
  cutShort(told: GatewayError): void
}

/** What becomes of a row: shown; not shown, as the rest of the result; or looked at again later. */
export type Metered = 'show' | 'drop' | 'leave'

/** Counts the rows of the command that is being answered against its limits and against budgets, before each is shown. */
export class Meter {
  readonly #around: MeterSurroundings
  readonly #session: Session
  /** Of the portal being executed, or the cursor being read: what was shown of it before. */
  #portal: Portal | undefined
  /** Of a batch: what was shown before the statement that is being answered. */
  #rowsBefore = 0
  #bytesBefore = 0
  #limit: ResultLimit = { rowsMax: FOR_EVER, bytesMax: FOR_EVER }
  /** Where the rest of the result is held. */
  #pause: ResultLimit | undefined

  constructor(around: MeterSurroundings) {
    this.#around = around
    this.#session = around.session
  }

  /** Another command is answered now, or none. */
  follow(flight: Permitted | undefined, portal: Portal | undefined): void {
    this.next(flight, 0, portal)
    const decision = flight?.judgement.decision
    const shown = decision === undefined || decision.kind === 'deny' ? undefined : decision
    this.#limit = shown?.limit ?? { rowsMax: FOR_EVER, bytesMax: FOR_EVER }
    this.#pause = this.#portal?.restApproved === true ? undefined : shown?.pause
  }

  /** The next statement of the same command is answered. */
  next(flight: Permitted | undefined, statement: number, portal?: Portal): void {
    this.#portal = (flight === undefined ? undefined : this.#around.cursor(flight, statement)) ?? portal
    this.#rowsBefore = flight?.rows ?? 0
    this.#bytesBefore = flight?.bytes ?? 0
  }

  /** A statement has ended: what it has shown counts for who reads its portal or cursor further. */
  ended(flight: Permitted): void {
    if (this.#portal === undefined) return
    this.#portal.rows += flight.rows - this.#rowsBefore
    this.#portal.bytes += flight.bytes - this.#bytesBefore
  }

  row(flight: Permitted, bodyBytes: number): Metered {
    const before = this.#portal ?? NOTHING
    const rows = Math.max(flight.rows, flight.rows - this.#rowsBefore + before.rows) + 1
    const bytes = Math.max(flight.bytes, flight.bytes - this.#bytesBefore + before.bytes)
    if (isBeyond(this.#limit, rows, bytes)) {
      this.#around.cutShort(this.#session.limitReached(flight, limitText(this.#limit, rows)))
      return 'drop'
    }
    if (this.#pause !== undefined && isBeyond(this.#pause, rows, bytes)) {
      return this.#holdRest(flight, limitText(this.#pause, rows))
    }
    const answer = this.#session.spending.spend(1, HEADER_BYTES + bodyBytes)
    if (answer !== 'go') return this.#overBudget(flight, answer)
    flight.rows++
    return 'show'
  }

  /** Values in a row that is too large to be looked into as one count as if they had never been shown before. */
  unseen(flight: Permitted | undefined, plan: ResultPlan): void {
    if (flight === undefined) return
    const unlike = Buffer.from(`${this.#session.requestId(flight.n)} ${flight.rows}`)
    for (const { labels } of plan.outputs)
      if (labels !== undefined) this.#session.spending.record(labels, unlike, 0, unlike.length)
  }

  /** The row is looked at again when somebody has answered. */
  #holdRest(flight: Permitted, limit: string): Metered {
    this.#around.takeRows()
    this.#around.wait(
      (observer) => this.#session.holdRest(flight, limit, observer),
      (refusal) => {
        this.#pause = undefined
        if (refusal !== undefined) this.#around.cutShort(refusal)
        else if (this.#portal !== undefined) this.#portal.restApproved = true
      },
    )
    return 'leave'
  }

  /** The next block of a budget is not there yet, or there is none. */
  #overBudget(flight: Permitted, answer: 'wait' | 'spent'): Metered {
    if (answer === 'spent') {
      this.#around.cutShort(this.#session.budgetSpent(flight))
      return 'drop'
    }
    this.#around.takeRows()
    this.#around.wait(
      () => this.#session.spending.more(),
      (refusal) => {
        if (refusal !== undefined) this.#around.cutShort(refusal)
      },
    )
    return 'leave'
  }
}

function isBeyond({ rowsMax, bytesMax }: ResultLimit, rows: number, bytes: number): boolean {
  return rows > rowsMax || bytes > bytesMax
}

/** The limit that so many rows have met, in words. */
function limitText({ rowsMax, bytesMax }: ResultLimit, rows: number): string {
  return rows > rowsMax ? `${rowsMax} rows` : `${bytesMax} bytes`
}
