import type { Ticket } from '../core/index.ts'
import type { Approval } from './approval.ts'

/**
 * Where approval requests are kept. Everything that resolves is durable: it survives the death of the process and of
 * the machine. Several processes may share one store; a change is made only to the revision it was decided on.
 */
export interface ApprovalStore {
  /**
   * All open requests (pending, approved), those whose mute goes on after `now`, and the latest of the others up to
   * `endedMax`, in any order.
   */
  load(endedMax: number, now: number): Promise<readonly Approval[]>
  /** Adds a request. False, and nothing added, when the ticket exists or an open one has the same `openKeyOf`. */
  insert(approval: Approval): Promise<boolean>
  /** Puts `approval` in the place of the one with its ticket and `revision`. False when there is none such. The key of what it becomes is free. */
  replace(approval: Approval, revision: number): Promise<boolean>
  get(ticket: Ticket): Promise<Approval | undefined>
  /** The open request with this key. */
  findOpen(key: string): Promise<Approval | undefined>
  /** Takes what was replaced out of the store's own files, as far as it can. */
  scrub(): Promise<void>
}
