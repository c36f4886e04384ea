import type { GatewayError } from '../../core/index.ts'
import type { Permitted } from '../../session/index.ts'
import type { FieldDescription } from '../../wire/postgres/index.ts'
import { STATUS_BYTES } from '../../wire/postgres/index.ts'
import type { Overlay } from '../../sql/index.ts'
import { NO_OVERLAY } from '../../sql/index.ts'
import type { CopySearch } from './requests/value-search.ts'
import type { CopyTurn, Counting, Portal, Statement } from './pending.ts'
import { Names, PendingQueue } from './pending.ts'
import { MeantSettings } from './requests/meant-settings.ts'

/**
 * What both directions of one conversation share: what the server still owes, which statements and portals are known,
 * where the transaction stands. Follows what the server acknowledged; what is assumed ahead of that can be undone.
 */
export class ConversationState {
  readonly pending = new PendingQueue()
  readonly statements = new Names<Statement>(this)
  readonly portals = new Names<Portal>(this)
  /** By which settings statements are read. */
  readonly settings = new MeantSettings()
  /** How many ReadyForQuery the messages sent so far ask for, and how many have come. */
  groupsSent = 0
  groupsEnded = 0
  /** The status byte of the last ReadyForQuery. */
  status: number = STATUS_BYTES.idle
  /** Extended-protocol messages have been forwarded since the last Sync. */
  unsynced = false
  /** Of those, some were an Execute. */
  executed = false
  /** An error was answered; client messages are discarded until Sync, as the server does. */
  skipping = false
  /** The error was our own and the server knows nothing of it: its Sync is answered here. */
  skippingLocally = false
  /** The command that may take rows of COPY, as long as it is not certain how the server reads what comes behind them. */
  copy: CopyTurn | undefined
  /** The rows that it takes go into labelled columns: what looks through them, and for which command. */
  copySearch: { readonly search: CopySearch; readonly flight: Permitted } | undefined
  /** What the client is told in place of the server's error: COPY was made to fail. */
  copyRefusal: GatewayError | undefined
  /** What a command changes is being counted: nothing of the client's is sent meanwhile. */
  counting: Counting | undefined
  /** What the session has changed for itself. */
  overlay: Overlay = NO_OVERLAY
  /** The client has named the number of a type with code of users: what it stands for in later texts is not followed. */
  ownTypes = false
  /** The server has reported an error since the last ReadyForQuery. */
  failed = false
  /** The last group with a command in it that changes what statements behind it mean. */
  changedIn = -1

  /** A definition was changed in the open transaction. */
  redefined = false

  /** The last group with a command in it that may change how the server reads statements. */
  rereadIn = -1
  /** Who waits for the next ReadyForQuery. */
  onReady: (() => void)[] = []

  /** Nothing unanswered may change how the server reads the next statement. */
  get readingIsSettled(): boolean {
    return this.rereadIn < this.groupsEnded
  }

  /** What statements mean depends on a command of an earlier group that is not answered yet. */
  get isChanging(): boolean {
    return this.changedIn >= this.groupsEnded && this.changedIn < this.groupsSent
  }

  /** What the names mean, or what is skipped, is known better now. */
  wake(): void {
    const waiting = this.onReady
    this.onReady = []
    for (const go of waiting) go()
  }

  /** The server takes rows of COPY. */
  get copyIn(): boolean {
    return this.copy?.input !== undefined
  }

  /** Everything before the group in hand has been answered. */
  get isAnswered(): boolean {
    return this.groupsSent === this.groupsEnded
  }

  get idle(): boolean {
    return this.pending.length === 0 && !this.unsynced && this.status !== STATUS_BYTES.transaction
  }

  get inTransaction(): boolean {
    return this.status !== STATUS_BYTES.idle
  }
}

export type Fields = readonly FieldDescription[]
