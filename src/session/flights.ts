import type { Command, EffectBound, Hold, LabelName } from '../core/index.ts'
import type { Judgement } from './judgements.ts'

/** One command on its way: its number, when it began, what was kept of its result. */
export class CommandInFlight {
  readonly n: number
  readonly command: Command
  readonly judgement: Judgement
  readonly began: number
  rows = 0
  bytes = 0
  keptBytes = 0
  /** Bytes kept of what the client sent to it while it ran. */
  inputKept = 0
  /** Where in the client's outbox this turn's part of the result begins; -1 while there is none. */
  from = -1
  /** The labels of values that may be quoted in it. */
  quoted: readonly LabelName[] = []
  done = false

  constructor(n: number, command: Command, judgement: Judgement, began: number) {
    this.n = n
    this.command = command
    this.judgement = judgement
    this.began = began
  }

  /** Values of these labels may be quoted in this turn's part of the result. */
  quotes(labels: readonly LabelName[]): void {
    if (labels.every((each) => this.quoted.includes(each))) return
    this.quoted = [...new Set([...this.quoted, ...labels])].sort()
  }
}

/** The proof that a command may be forwarded. Only the session makes one: the door gives out the type alone. */
export class PermittedCommand extends CommandInFlight {
  readonly #permitted = true
  /** It was approved for so many changed rows. Nothing of it leaves before whoever forwards it has said that it counts them. */
  readonly effect: EffectBound | undefined
  #isCounted = false

  constructor(n: number, command: Command, judgement: Judgement, began: number, effect?: EffectBound) {
    super(n, command, judgement, began)
    this.effect = effect
  }

  /** Whoever says this sees to it that the command takes effect only with as many changed rows as it was approved for. */
  count(): void {
    this.#isCounted = true
  }

  get mayLeave(): boolean {
    return this.effect === undefined || this.#isCounted
  }

  /** Whether a value really came from here, for the forwarding functions. */
  static is(value: PermittedCommand): boolean {
    return #permitted in value && value.#permitted
  }
}

/** A command that waits for people. Only `hold` turns it into a permitted one. */
export class HeldCommand extends CommandInFlight {
  readonly decision: Hold

  constructor(n: number, command: Command, judgement: Judgement, began: number, decision: Hold) {
    super(n, command, judgement, began)
    this.decision = decision
  }
}

/** Messages of the protocol that carry no command: greetings, Sync, data of a permitted command, farewells. */
export class HousekeepingPermit {
  readonly #housekeeping = true

  static is(value: HousekeepingPermit): boolean {
    return #housekeeping in value && value.#housekeeping
  }
}

export type Permitted = PermittedCommand
export type Held = HeldCommand
export type Housekeeping = HousekeepingPermit
export const housekeeping: Housekeeping = new HousekeepingPermit()

export function isHeld(step: Permitted | Held): step is Held {
  return step instanceof HeldCommand
}

/** Whether bytes may go upstream with it: that it is counted where it has to be, that the value is one of ours, not that the compiler was told so. */
export function isPermit(permit: Permitted | Housekeeping): boolean {
  return permit instanceof PermittedCommand
    ? PermittedCommand.is(permit) && permit.mayLeave
    : HousekeepingPermit.is(permit)
}
