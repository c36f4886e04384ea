import type { Approval, ApprovalStore } from '../approvals/index.ts'
import { openKeyOf } from '../approvals/index.ts'
import type { Ticket } from '../core/index.ts'

/** Approval requests in memory; what it holds outlives the desk that is built on it, as a disk would. */
export class MemoryApprovalStore implements ApprovalStore {
  readonly #approvals = new Map<Ticket, Approval>()

  load(endedMax: number, now: number): Promise<readonly Approval[]> {
    const all = [...this.#approvals.values()]
    const ended = all.filter((each) => !open(each)).sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0))
    const latest = new Set(ended.slice(0, endedMax))
    const muting = ended.filter((each) => !latest.has(each) && (each.mutedUntil ?? 0) > now)
    return Promise.resolve([...all.filter(open), ...latest, ...muting])
  }

  insert(approval: Approval): Promise<boolean> {
    const clash = this.#approvals.has(approval.ticket) || this.#open(openKeyOf(approval) ?? '') !== undefined
    if (!clash) this.#approvals.set(approval.ticket, approval)
    return Promise.resolve(!clash)
  }

  replace(approval: Approval, revision: number): Promise<boolean> {
    const found = this.#approvals.get(approval.ticket)?.revision === revision
    if (found) this.#approvals.set(approval.ticket, approval)
    return Promise.resolve(found)
  }

  get(ticket: Ticket): Promise<Approval | undefined> {
    return Promise.resolve(this.#approvals.get(ticket))
  }

  findOpen(key: string): Promise<Approval | undefined> {
    return Promise.resolve(this.#open(key))
  }

  scrub(): Promise<void> {
    return Promise.resolve()
  }

  #open(key: string): Approval | undefined {
    return [...this.#approvals.values()].find((each) => openKeyOf(each) === key)
  }
}

function open(approval: Approval): boolean {
  return openKeyOf(approval) !== undefined
}
