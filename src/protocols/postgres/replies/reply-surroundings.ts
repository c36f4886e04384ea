import type { InReach } from '../results/results.ts'
import type { Facts, GatewayError } from '../../../core/index.ts'
import type { HoldObserver, Permitted, Session } from '../../../session/index.ts'
import type { CopyFormats, ErrorFields } from '../../../wire/postgres/index.ts'
import type { MaskedResults } from '../results/masked-notice.ts'
import type { CopySearch } from '../requests/value-search.ts'
import type { Aftermath } from '../requests/named.ts'
import type { TypeLookup } from '../results/result-types.ts'
import type { ConversationState } from '../state.ts'
import type { OwnSettings, Reached } from './withheld.ts'

/** What the replies need from the conversation around them. */
export type ReplySurroundings = {
  readonly session: Session
  readonly state: ConversationState
  /** Relations from which labelled values could come; undefined on a connection without labels. */
  inReach(): InReach | undefined
  /** Whether a source that the server names would be a surprise in the result of this statement of a batch. */
  suspicion(facts: Facts, statement: number): ((relation: number, attribute: number) => boolean) | undefined
  /** What values of each type are. */
  typeOf(): TypeLookup
  /** Whether what the server says about this command may hold values that the client may not see. */
  withholds(of: Reached | 'anything' | undefined): boolean
  /** An error or a notice as the client may hear it, the same object if in full; undefined: not at all. */
  shownText(
    kind: 'errorResponse' | 'noticeResponse',
    fields: ErrorFields,
    of: Reached | 'anything' | undefined,
  ): ErrorFields | undefined
  /** The row or byte limit is reached: stop the command upstream. */
  cutOff(): void
  /** Nothing more is taken from the server until `work` has settled; `then` is told first whether it failed. */
  wait(
    work: (observer: HoldObserver) => Promise<void>,
    then: (refusal: GatewayError | undefined) => void,
  ): void
  /** The server takes rows of COPY for a statement of a command: what looks through them before they go on. */
  copyBegins(flight: Permitted, statement: number, formats: CopyFormats): CopySearch | undefined
  /** Nothing is outstanding any more. */
  settled(): void
  /** The server reports a setting. */
  parameter(name: string, value: string): void
  /** Definitions may have changed; `settled`: and will change no more. */
  redefined(settled?: boolean): void
  readonly settings: OwnSettings
  readonly masked: MaskedResults
  readonly aftermath: Aftermath
  /** What a client is told of `application_name`, when the server knows it with a tag. */
  readonly shownApplicationName: ((value: string) => string) | undefined
}
