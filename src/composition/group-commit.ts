import type { AdminHead } from '../core/index.ts'
import type { Recording } from '../recording/index.ts'

/**
 * Administrative entries that have to be on the disk before what they tell takes effect. Those of one turn of the event
 * loop share one sync: thousands of commands may be held, or ended, at the same moment.
 */
export class GroupCommit {
  readonly #journal: Pick<Recording['journal'], 'append' | 'sync'>
  #next: Promise<void> | undefined

  constructor(journal: Pick<Recording['journal'], 'append' | 'sync'>) {
    this.#journal = journal
  }

  /** On the disk when it resolves. Rejects with `recording_unavailable`. */
  async record(head: AdminHead): Promise<void> {
    this.#journal.append(undefined, { kind: 'admin', head })
    this.#next ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#next = undefined
        try {
          this.#journal.sync()
          resolve()
        } catch (error) {
          reject(error)
        }
      })
    })
    await this.#next
  }
}
