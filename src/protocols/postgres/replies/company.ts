import type { GatewayError } from '../../../core/index.ts'
import { afterFailing, afterGoingOn } from '../../../session/index.ts'
import { asksForReady, type PendingQueue, type Portal } from '../pending.ts'

/** Which commands of one group (up to Sync) are executed together: a client takes an error for the failure of all of them. */
export class Company {
  readonly #pending: PendingQueue
  /** Of the group that is being answered. */
  #first: { readonly portal: Portal | undefined } | undefined
  #hasOthers = false

  constructor(pending: PendingQueue) {
    this.#pending = pending
  }

  /** An Execute of this portal has been answered. */
  executed(portal: Portal | undefined): void {
    if (this.#first === undefined) this.#first = { portal }
    else if (this.#first.portal !== portal) this.#hasOthers = true
  }

  /** The group has ended. */
  ready(): void {
    this.#first = undefined
    this.#hasOthers = false
  }

  /** What the client is told of a result that was cut off: whether its command `failed`, or the server went on. */
  told(cut: GatewayError, failed: boolean): GatewayError {
    const head = this.#pending.first()
    if (!failed) return this.#isThere ? afterGoingOn(cut) : cut
    return head?.kind === 'query' || head?.kind === 'execute'
      ? afterFailing(cut, head.flight.command.facts)
      : cut
  }

  /** Whether the command at the head, if it is an Execute, stands among others. */
  get #isThere(): boolean {
    const [head, ...behind] = this.#pending.all()
    if (head?.kind !== 'execute') return false
    if (this.#hasOthers || (this.#first !== undefined && this.#first.portal !== head.portal)) return true
    const end = behind.findIndex(asksForReady)
    const same = end < 0 ? behind : behind.slice(0, end)
    return same.some((each) => each.kind === 'execute' && each.portal !== head.portal)
  }
}
