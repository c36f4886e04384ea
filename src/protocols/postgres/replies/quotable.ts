import type { Command, LabelName } from '../../../core/index.ts'
import type { Pending } from '../pending.ts'
import { sealedLabels } from '../requests/recorded.ts'

/**
 * The labels of sealed values that an error, a notice or another text of the server may quote: of the statement that it is
 * about, and of all before it in the transaction, since a deferred constraint speaks of a row when that ends.
 */
export class Quotable {
  #labels: readonly LabelName[] = []

  get isEmpty(): boolean {
    return this.#labels.length === 0
  }

  /** This command is answered now. */
  follow(command: Command | undefined): void {
    if (command?.recorded !== undefined) this.#add(command.recorded.labels)
  }

  #add(labels: readonly LabelName[]): void {
    if (labels.every((each) => this.#labels.includes(each))) return
    this.#labels = [...new Set([...this.#labels, ...labels])].sort()
  }

  /** The transaction has ended. */
  clear(): void {
    this.#labels = []
  }

  /** With those of what is answered now: a statement that is read, or a value that is bound, is no command yet. */
  with(head: Pending | undefined): readonly LabelName[] {
    if (head?.kind === 'parse' || head?.kind === 'bind' || head?.kind === 'describe')
      if (head.of !== undefined) this.#add(sealedLabels(head.of.judgement))
    return this.#labels
  }
}
