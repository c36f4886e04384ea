import {
  type AdminHead,
  type AnswerHead,
  assertNever,
  type CloseHead,
  type Entry,
  identityKey,
  type IntentHead,
  LIMITS,
  type OpenHead,
  type OutcomeHead,
  type SessionId,
} from '../../core/index.ts'
import {
  adminEvent,
  adminId,
  commandEvent,
  isBlocked,
  type OcsfEvent,
  type OpenCommand,
  sessionEvent,
} from './ocsf.ts'

/** An event for whoever is told of what is recorded. */
export type RecordedEvent = {
  readonly what: 'command' | 'open' | 'close' | 'admin'
  /** The same whenever it is made again: whoever gets it twice may drop one. */
  readonly id: string
  /** The frame that brought it. */
  readonly sequence: number
  /** When that frame was made, in milliseconds since 1970. */
  readonly frameTime: number
  /** What it is about began then. */
  readonly time: number
  /** A command that was refused. */
  readonly blocked: boolean
  /** What one looks for, by name, beside the whole; nothing that is not there has a field. */
  readonly facts: Readonly<Record<string, string>>
  readonly ocsf: OcsfEvent
  /** The same as text. */
  readonly json: string
}

/** An entry, and where it stands. */
export type EntryPlace = {
  readonly sequence: number
  readonly time: number
  readonly session: SessionId | undefined
  readonly entry: Entry
}

export type AssemblerOptions = {
  /** The version of this program. */
  readonly program: string
  /** Whether texts of statements are told. Values of parameters and results never are. */
  readonly statements: boolean
  /** The entries of a session before that one, oldest first: for one whose beginning was not taken here. */
  readonly recall: (session: SessionId, before: number) => AsyncIterable<EntryPlace>
}

/** What is known of a session that has not ended. */
type Context = {
  open: OpenHead | undefined
  readonly commands: Map<number, OpenCommand>
  /** Commands that ended here and began before: until their beginning is recalled. */
  readonly ended: Set<number>
  /** Answers to commands that began before: until then as well. */
  readonly answers: Map<number, AnswerHead>
  /** The first entry that was taken here. */
  readonly since: number
  recalled: boolean
}

/**
 * Makes events of entries in the order of the journal: one when a session is opened, one for each command when it has
 * ended, one when the session ends, one for each administrative entry. What it needs of entries that were before the
 * first one it took, it recalls.
 */
export class EventAssembler {
  readonly #options: AssemblerOptions
  readonly #contexts = new Map<SessionId, Context>()
  #textHeld = 0

  constructor(options: AssemblerOptions) {
    this.#options = options
  }

  /** Sessions of which something is remembered. */
  get sessions(): number {
    return this.#contexts.size
  }

  /** The events that an entry brings; `isTold`: it has brought them before, and is only taken note of. */
  async take(place: EntryPlace, isTold = false): Promise<readonly RecordedEvent[]> {
    const { session, entry } = place
    if (session === undefined)
      return entry.kind === 'admin' && !isTold ? [this.#admin(place, entry.head)] : []
    switch (entry.kind) {
      case 'open': {
        const context = this.#context(session, place.sequence)
        context.open = entry.head
        context.recalled = true
        return isTold ? [] : [this.#session(place, session, entry.head, undefined)]
      }
      case 'intent':
      case 'answer':
        this.#note(this.#context(session, place.sequence), place)
        return []
      case 'outcome': {
        const context = this.#context(session, place.sequence)
        if (!isTold) await this.#recall(session, context)
        const command = this.#note(context, place)
        if (isTold || command === undefined) return []
        return [this.#command(place, session, openOf(context), command, entry.head)]
      }
      case 'close': {
        const context = this.#context(session, place.sequence)
        if (!isTold) await this.#recall(session, context)
        this.#contexts.delete(session)
        for (const { intent } of context.commands.values()) this.#textHeld -= intent.text?.length ?? 0
        if (isTold) return []
        const open = openOf(context)
        // They had no end: whether they ran is not known.
        const unfinished = [...context.commands.values()].map((each) =>
          this.#command(place, session, open, each, undefined),
        )
        return [...unfinished, this.#session(place, session, open, entry.head)]
      }
      case 'hold':
      case 'result':
      case 'input':
      case 'notice':
      case 'admin':
        return []
      default:
        return assertNever(entry)
    }
  }

  #context(session: SessionId, since: number): Context {
    const known = this.#contexts.get(session)
    if (known !== undefined) return known
    const made = contextSince(since, false)
    this.#contexts.set(session, made)
    return made
  }

  /** What an entry says of a command; the command itself when it ends. */
  #note(context: Context, { sequence, time, entry }: EntryPlace): OpenCommand | undefined {
    if (entry.kind === 'intent') {
      const intent = this.#shortened(entry.head)
      context.commands.set(intent.n, { sequence, time, intent })
    } else if (entry.kind === 'answer') {
      const command = context.commands.get(entry.head.n)
      if (command !== undefined) command.answer = entry.head
      else if (!context.recalled) context.answers.set(entry.head.n, entry.head)
    } else if (entry.kind === 'outcome') {
      const { n } = entry.head
      const command = context.commands.get(n)
      if (command === undefined && !context.recalled) context.ended.add(n)
      context.commands.delete(n)
      this.#textHeld -= command?.intent.text?.length ?? 0
      return command
    }
    return undefined
  }

  async #recall(session: SessionId, context: Context): Promise<void> {
    if (context.recalled) return
    const before = contextSince(0, true)
    for await (const place of this.#options.recall(session, context.since)) {
      if (place.sequence >= context.since) break
      if (place.entry.kind === 'open') before.open = place.entry.head
      else this.#note(before, place)
    }
    context.recalled = true
    context.open ??= before.open
    for (const [n, command] of before.commands) {
      if (context.ended.has(n) || context.commands.has(n)) this.#textHeld -= command.intent.text?.length ?? 0
      else {
        const answer = context.answers.get(n)
        if (answer !== undefined) command.answer = answer
        context.commands.set(n, command)
      }
    }
    context.ended.clear()
    context.answers.clear()
  }

  /**
   * What of an intent is told: no parameters, and of the text as much as is asked for and fits. Where it is not, nothing either that
   * may quote it: neither why it was refused, in words, nor names that only the client says exist.
   */
  #shortened(head: IntentHead): OpenCommand['intent'] {
    const { parameters: _, readings: __, text, ...rest } = head
    if (!this.#options.statements) {
      const [, method] = /^([A-Z]{1,16}) \//.exec(text) ?? []
      const { reason: ___, reads, writes, typed = [], ...quiet } = rest
      const isKnown = (name: string): boolean => !typed.includes(name)
      return {
        ...quiet,
        ...(reads === undefined ? {} : { reads: reads.filter(isKnown) }),
        ...(writes === undefined ? {} : { writes: writes.filter(isKnown) }),
        text: undefined,
        ...(method === undefined ? {} : { method }),
      }
    }
    const room = this.#textHeld > LIMITS.streamTextHeldMax ? 1_000 : LIMITS.streamTextMax
    const kept = text.length <= room ? text : text.slice(0, room).toWellFormed()
    this.#textHeld += kept.length
    return { ...rest, text: kept, ...(kept === text ? {} : { textOf: text.length }) }
  }

  #command(
    { sequence, time: frameTime }: EntryPlace,
    session: SessionId,
    open: OpenHead,
    command: OpenCommand,
    end: OutcomeHead | undefined,
  ): RecordedEvent {
    const { intent, time } = command
    const { program } = this.#options
    return {
      what: 'command',
      id: `${session}-${intent.n}`,
      sequence,
      frameTime,
      time,
      blocked: isBlocked(intent, end),
      facts: {
        ...sessionFacts(session, open),
        class: intent.class,
        decision: intent.decision,
        ...(intent.rules.length === 0 ? {} : { rule: intent.rules.join(', ') }),
        ...(end === undefined ? {} : { outcome: end.outcome }),
      },
      ...encoded(commandEvent({ session, open, program }, command, end)),
    }
  }

  #session(
    { sequence, time }: EntryPlace,
    session: SessionId,
    open: OpenHead,
    close: CloseHead | undefined,
  ): RecordedEvent {
    const what = close === undefined ? 'open' : 'close'
    const { program } = this.#options
    return {
      what,
      id: `${session}-${what}`,
      sequence,
      frameTime: time,
      time,
      blocked: false,
      facts: sessionFacts(session, open),
      ...encoded(sessionEvent({ session, open, program }, { sequence, time }, close)),
    }
  }

  #admin(place: EntryPlace, head: AdminHead): RecordedEvent {
    return {
      what: 'admin',
      id: adminId(place),
      sequence: place.sequence,
      frameTime: place.time,
      time: place.time,
      blocked: false,
      facts: {
        action: head.action,
        identity: head.by,
        ...(head.target === undefined ? {} : { target: head.target }),
      },
      ...encoded(adminEvent(this.#options.program, place, head)),
    }
  }
}

function contextSince(since: number, recalled: boolean): Context {
  return {
    open: undefined,
    commands: new Map(),
    ended: new Set(),
    answers: new Map(),
    since,
    recalled,
  }
}

/** A session whose beginning is nowhere, as after damage, is told of all the same. */
function openOf({ open }: Context): OpenHead {
  return open ?? NOTHING_KNOWN
}

const NOTHING_KNOWN: OpenHead = {
  connection: 'unknown',
  protocol: 'unknown',
  chain: [],
  credential: 'unknown',
  mintedBy: 'unknown',
  clientAddress: 'unknown',
  program: 'unknown',
  database: 'unknown',
  config: 'unknown',
}

function sessionFacts(session: SessionId, { chain, connection }: OpenHead): Readonly<Record<string, string>> {
  const [identity, ...others] = chain.map(identityKey)
  return {
    session,
    ...(identity === undefined ? {} : { identity }),
    ...(others.length === 0 ? {} : { onBehalfOf: others.join(', ') }),
    connection,
  }
}

/** Receivers have limits: what is longer loses its longest lists, and says so. */
function encoded(ocsf: OcsfEvent): { readonly ocsf: OcsfEvent; readonly json: string } {
  const json = JSON.stringify(ocsf)
  if (json.length <= LIMITS.streamEventCharactersMax) return { ocsf, json }
  const { unmapped } = ocsf
  const known = typeof unmapped === 'object' && unmapped !== null ? Object.entries(unmapped) : []
  const short = known.map(([name, value]) => [name, Array.isArray(value) ? value.slice(0, 20) : value])
  const less = { ...ocsf, unmapped: { ...Object.fromEntries(short), lists_cut: true } }
  return { ocsf: less, json: JSON.stringify(less) }
}
