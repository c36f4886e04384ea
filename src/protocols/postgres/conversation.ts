import type { InReach } from './results/results.ts'
import type { Pipe } from '../../core/index.ts'
import type { Countable, GatewayError, Ticket } from '../../core/index.ts'
import { asGatewayError, isGatewayError, LIMITS } from '../../core/index.ts'
import type { Held, HoldObserver, Permitted, Session, ToldMeanwhile } from '../../session/index.ts'
import { housekeeping, patienceOf } from '../../session/index.ts'
import { CLIENT_TYPES, encodeClient, HEADER_BYTES } from '../../wire/postgres/index.ts'
import type { Judge } from './requests/commands.ts'
import { errorBytes } from './errors.ts'
import type { Reminders } from './held/reminders.ts'
import { HeldClient, type WaitsIn } from './held/held-client.ts'
import type { LocalAnswers } from './local/local-answers.ts'
import type { MaskedResults } from './results/masked-notice.ts'
import type { ReplySurroundings } from './replies/reply-surroundings.ts'
import type { TypeLookup } from './results/result-types.ts'
import { Replies } from './replies/replies.ts'
import { countableBehind } from './requests/countable.ts'
import type { RequestSurroundings } from './requests/refusing.ts'
import { Requests } from './requests/requests.ts'
import type { OwnSettings } from './replies/withheld.ts'
import type { WriteBack } from './requests/write-back.ts'
import { Aftermath } from './requests/named.ts'
import type { ConversationState } from './state.ts'

export type ConversationParts = {
  readonly session: Session
  readonly client: Pipe
  readonly upstream: Pipe
  readonly state: ConversationState
  readonly judge: Judge
  readonly suspicion: ReplySurroundings['suspicion']
  readonly inReach: () => InReach | undefined
  readonly typeOf: () => TypeLookup
  /** Whether what the server says may hold values that the client may not see, and what of it the client hears. */
  readonly withholds: ReplySurroundings['withholds']
  readonly shownText: ReplySurroundings['shownText']
  readonly masked: MaskedResults
  readonly writeBack: WriteBack
  readonly quiet: RequestSurroundings['quiet']
  /** The same of what could change more rows than are counted. */
  readonly counted: RequestSurroundings['quiet']
  readonly planned: RequestSurroundings['planned']
  /** Questions to the gateway itself. */
  readonly local: LocalAnswers
  readonly settings: OwnSettings
  readonly shownApplicationName: ((value: string) => string) | undefined
  /** Tells who waits for people that they still do; undefined: not here. */
  readonly reminders: Reminders | undefined
  /** Sends a cancel request for this session to the server; resolves when the server has acted on it. Never rejects. */
  readonly cancelUpstream: () => Promise<void>
  /** Definitions change (`begun`), or may have changed. */
  readonly onRedefine: (when: 'begun' | 'ended' | 'settled') => void
  readonly onClosed: () => void
  /** A command is held: who is to answer may have it tried out. */
  readonly offerPreview: (ticket: Ticket, held: Held) => void
  /** A fault of our own, for the log. */
  readonly report: (error: unknown) => void
}

const UNKNOWN: Countable = { can: false, why: 'it is not known what it changes' }
const FLUSH = encodeClient({ kind: 'flush' })
/** For the rest of a message behind which the client is told why its session ends; that has to be within two seconds. */
const LAST_WORD_MS = 500
/** How long a command may go on whose result is not shown further. */
const CUT_READ_MS = 50
const CUT_OTHER_MS = 5_000

const TERMINATE = encodeClient({ kind: 'terminate' })

/**
 * One client and one server talking: reads both, stalls the client while a command waits, keeps memory bounded when
 * either side reads slowly, and ends both together. What the messages mean is the business of requests and replies.
 */
export class Conversation implements WaitsIn {
  readonly #parts: ConversationParts
  readonly #session: Session
  readonly #client: Pipe
  readonly #upstream: Pipe
  readonly #state: ConversationState
  readonly #aftermath: Aftermath
  readonly #requests: Requests
  readonly #replies: Replies
  /** What the client sent while it was stalled. */
  #waiting: Buffer[] = []
  #waitingBytes = 0
  /** What the client has to wait for: being read may end in being held. */
  #stalls = 0
  /** A message to be looked at once more when the stall is over. */
  #again: Buffer | undefined
  #held: HeldClient | undefined
  /** Set while the rest of a result waits: what the server has sent of it so far. */
  #rest: { readonly client: HeldClient; readonly bytes: Buffer[] } | undefined
  #notices: Buffer[] = []
  /** What the client calls itself. */
  #program: string
  /** What the server said while it was looked whether definitions had changed. */
  #doubted: Buffer[] | undefined
  #gone = false
  #clientFull = false
  #upstreamFull = false
  #clientEnded = false
  /** Ended from outside, and not told yet. */
  #lastWord: GatewayError | undefined
  #ending: string | undefined
  #finished = false
  #flushed = false
  #closed = false

  constructor(parts: ConversationParts) {
    this.#parts = parts
    this.#session = parts.session
    this.#state = parts.state
    const aftermath = (this.#aftermath = new Aftermath(parts.session, parts.state, parts.judge))
    this.#client = parts.client
    this.#upstream = parts.upstream
    this.#program = parts.session.opening.program
    this.#replies = new Replies({
      session: parts.session,
      state: this.#state,
      inReach: parts.inReach,
      suspicion: parts.suspicion,
      typeOf: parts.typeOf,
      withholds: parts.withholds,
      shownText: parts.shownText,
      settings: parts.settings,
      masked: parts.masked,
      cutOff: () => this.#cutOff(),
      copyBegins: (flight, statement, formats) =>
        parts.writeBack.copyBegins(flight.judgement.facts, statement, formats),
      wait: (work, then) => this.#wait(work, then),
      settled: () => this.#settled(),
      parameter: (name, value) => {
        parts.judge.parameter(name, value)
        parts.state.settings.report(name, value)
        if (name === 'application_name') this.#program = parts.shownApplicationName?.(value) ?? value
      },
      redefined: (settled = false) => parts.onRedefine(settled ? 'settled' : 'ended'),
      aftermath,
      shownApplicationName: parts.shownApplicationName,
    })
    this.#requests = new Requests({
      session: parts.session,
      state: this.#state,
      judge: parts.judge,
      stall: (work) => this.#stall(work),
      again: (message, when) => {
        this.#again = message
        this.#stall(when)
      },
      hold: (held, failFast, guessed) => this.#hold(held, failFast ? 0 : this.#patienceMs, guessed),
      follow: () => this.#replies.follow(),
      redefining: () => parts.onRedefine('begun'),
      aftermath,
      terminate: () => this.#end('client left'),
      local: parts.local,
      writeBack: parts.writeBack,
      quiet: parts.quiet,
      planned: parts.planned,
      countable: (held) => this.#countable(held),
      over: () => this.#ending !== undefined,
    })
  }

  /** Begins to relay. The rests are bytes that were read behind the greetings. */
  start(clientRest: Buffer, upstreamRest: Buffer): void {
    const { client, upstream } = { client: this.#client, upstream: this.#upstream }
    this.#session.attach({ client, upstream })
    this.#session.watch(
      (clientFull, upstreamFull) => this.#flow(clientFull, upstreamFull),
      (error) => this.#abandon(error),
    )
    client.onData = (bytes) => this.#fromClient(bytes)
    client.onEnd = () => this.#clientEnd()
    client.onClose = () => this.#end('client gone')
    client.onDrain = () => {
      this.#clientFull = false
      if (this.#rest === undefined && this.#doubted === undefined) upstream.resume()
    }
    upstream.onData = (bytes) => this.#fromUpstream(bytes)
    upstream.onEnd = () => this.#upstreamGone()
    upstream.onClose = () => this.#upstreamGone()
    upstream.onDrain = () => {
      this.#upstreamFull = false
      this.#resumeClient()
    }
    if (upstreamRest.length > 0) this.#fromUpstream(upstreamRest)
    if (clientRest.length > 0) this.#fromClient(clientRest)
    client.resume()
    upstream.resume()
  }

  /** A cancel request with our key arrived: gives up what is held, or has the server cancel what it runs. */
  async cancel(): Promise<void> {
    const held = this.#held ?? this.#rest?.client
    if (held !== undefined) held.abort()
    else await this.#parts.cancelUpstream()
  }

  /**
   * The result of the command that is being answered is not shown further. A server that does not come to its end soon is
   * stopped; what the client sends meanwhile waits, because a cancel request hits whatever runs when it arrives. One that
   * changes something is given the time to end, since being stopped takes its changes back.
   */
  #cutOff(): void {
    const head = this.#state.pending.first()
    if (head?.kind !== 'query' && head?.kind !== 'execute') return
    const isRead = head.flight.command.facts.class === 'read'
    setTimeout(
      () => {
        if (this.#ending === undefined && this.#state.pending.first() === head)
          this.#stall(this.#parts.cancelUpstream())
      },
      isRead ? CUT_READ_MS : CUT_OTHER_MS,
    ).unref()
  }

  /** Nobody waits for an answer, and nothing is open that would be lost. */
  get isIdle(): boolean {
    const { pending, unsynced, inTransaction, copyIn } = this.#state
    const asked = pending.length > 0 || unsynced || copyIn || this.#stalls > 0 || this.#waiting.length > 0
    return !asked && !inTransaction && this.#requests.atBoundary
  }

  /** Ends the session from outside; the client is told why. */
  terminate(reason: GatewayError): void {
    if (this.#ending !== undefined) return
    if (this.#state.pending.length > 0) void this.#parts.cancelUpstream()
    this.#lastWord = reason
    if (this.#replies.atBoundary) {
      this.#sayLastWord()
      return
    }
    // In the middle of a message nothing can be said: the rest of it is waited for, but not long.
    this.#replies.stopAtBoundary()
    setTimeout(() => this.#sayLastWord(), LAST_WORD_MS).unref()
  }

  #sayLastWord(): void {
    const reason = this.#lastWord
    if (reason === undefined || this.#ending !== undefined) return
    if (this.#replies.atBoundary) this.#session.tell(errorBytes(reason, 'FATAL'))
    this.#end(reason.code)
  }

  #fromClient(bytes: Buffer): void {
    if (this.#ending !== undefined || this.#lastWord !== undefined) return
    if (this.#stalls > 0 || this.#waiting.length > 0) {
      this.#keep(Buffer.from(bytes))
      return
    }
    this.#take(bytes, false)
  }

  /** Looks at client bytes until they are used up or the conversation stalls. */
  #take(bytes: Buffer, owned: boolean): void {
    try {
      const taken = this.#requests.push(bytes)
      if (taken < bytes.length) {
        const rest = bytes.subarray(taken)
        this.#putBack(owned ? rest : Buffer.from(rest))
      }
      const again = this.#again
      this.#again = undefined
      if (again !== undefined) this.#putBack(again)
    } catch (error) {
      this.#fail(error)
    }
  }

  #putBack(bytes: Buffer): void {
    this.#waiting.unshift(bytes)
    this.#waitingBytes += bytes.length
    this.#lookForFarewell()
  }

  /**
   * A client that says farewell behind a command that is held, or counted, has given it up, even if it waits for us to hang up. What waits
   * begins with a whole message, and is bounded.
   */
  #lookForFarewell(): void {
    const isWaiting = this.#held !== undefined || this.#rest !== undefined
    if (!isWaiting && this.#state.counting === undefined) return
    if (saysFarewell(Buffer.concat(this.#waiting))) this.#giveUp()
  }

  /** Nobody waits any more for what is held. */
  #giveUp(): void {
    this.#held?.abort()
    this.#rest?.client.abort()
    const { counting } = this.#state
    if (counting === undefined || counting.isGivenUp) return
    // It may wait for a lock, and has changed nothing for good: that is for the Sync that is kept back.
    counting.isGivenUp = true
    void this.#parts.cancelUpstream()
  }

  #keep(bytes: Buffer): void {
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
    this.#lookForFarewell()
    // Reading goes on while something is held, because a client that leaves must be noticed; but not without end.
    if (this.#waitingBytes > LIMITS.heldBytesMax) this.#client.pause()
  }

  #stall(work: Promise<void>): void {
    this.#stalls++
    work.then(
      () => this.#unstall(),
      (error: unknown) => this.#fail(error),
    )
  }

  #unstall(): void {
    this.#stalls--
    if (this.#stalls > 0) return
    if (this.#ending !== undefined && this.#rest === undefined) this.#finish(this.#ending)
    const began = performance.now()
    while (this.#stalls === 0 && this.#ending === undefined) {
      if (this.#waiting.length > 0 && performance.now() - began > LIMITS.turnMs) {
        this.#stall(new Promise((resolve) => setImmediate(resolve)))
        return
      }
      const next = this.#waiting.shift()
      if (next === undefined) break
      this.#waitingBytes -= next.length
      this.#take(next, true)
    }
    this.#resumeClient()
    if (this.#clientEnded) this.#settled()
  }

  #resumeClient(): void {
    if (!this.#upstreamFull && this.#waitingBytes <= LIMITS.heldBytesMax) this.#client.resume()
  }

  #hold(held: Held, patienceMs: number, guessed: Promise<number | undefined>): Promise<Permitted> {
    const client = new HeldClient(patienceMs, this, held)
    this.#held = client
    if (this.#clientEnded || this.#ending !== undefined) client.abort()
    this.#lookForFarewell()
    return Promise.all([this.#countable(held), guessed]).then(([countable, rows]) => {
      client.countable = countable
      client.estimatedRows = rows
      return this.#session.hold(held, client)
    })
  }

  #countable({ command: { countable, facts } }: Held): Promise<Countable> {
    const { settings } = this.#state
    return countableBehind(
      countable ?? UNKNOWN,
      facts,
      (name) => settings.isTemporary(name),
      this.#parts.counted,
    )
  }

  get #patienceMs(): number {
    return patienceOf(this.#session.connection, this.#program)
  }

  get reminders(): Reminders | undefined {
    return this.#parts.reminders
  }

  asked(ticket: Ticket, held: Held | undefined): void {
    if (held !== undefined) this.#parts.offerPreview(ticket, held)
  }

  announce(bytes: Buffer): void {
    this.#notices.push(bytes)
    this.#sendNotices()
  }

  /** Who does not read is told no more, and nothing is said in the middle of a message. */
  remind(bytes: Buffer, told: ToldMeanwhile): boolean {
    if (!this.#replies.atBoundary || this.#ending !== undefined || this.#clientFull) return false
    this.#session.tellMeanwhile(bytes, told)
    return true
  }

  recordTold(): void {
    this.#session.recordTold()
  }

  settled(client: HeldClient): void {
    if (this.#held === client) this.#held = undefined
  }

  /** In the middle of a result: the server is not read until `work` has settled. */
  #wait(
    work: (observer: HoldObserver) => Promise<void>,
    then: (refusal: GatewayError | undefined) => void,
  ): void {
    // Inside a transaction others wait for what it has locked: the client is told the ticket, and does not wait.
    const client = new HeldClient(this.#state.inTransaction ? 0 : this.#patienceMs, this)
    this.#rest = { client, bytes: [] }
    this.#upstream.pause()
    if (this.#clientEnded) client.abort()
    work(client).then(
      () => this.#goOn(then, undefined),
      (error: unknown) => this.#goOn(then, error),
    )
  }

  #goOn(then: (refusal: GatewayError | undefined) => void, error: unknown): void {
    const bytes = this.#rest?.bytes ?? []
    this.#rest = undefined
    if (this.#ending !== undefined) {
      if (this.#held === undefined) this.#finish(this.#ending)
      return
    }
    if (error !== undefined && !isGatewayError(error)) {
      this.#fail(error)
      return
    }
    then(error)
    this.#fromUpstream(Buffer.concat(bytes))
    if (this.#rest === undefined && !this.#clientFull) this.#upstream.resume()
  }

  /** Notices go between messages, never into one. */
  #sendNotices(): void {
    if (!this.#replies.atBoundary || this.#ending !== undefined) return
    for (const notice of this.#notices) this.#session.tell(notice)
    this.#notices = []
  }

  #keepRest(bytes: Buffer): boolean {
    if (this.#rest === undefined) return false
    this.#rest.bytes.push(Buffer.from(bytes))
    return true
  }

  #fromUpstream(bytes: Buffer): void {
    // Once it has ended nobody knows any more what the rows are masked by.
    if (this.#closed || this.#finished) return
    if (this.#keepRest(bytes)) return
    if (this.#doubted !== undefined || this.#aftermath.inDoubt) {
      this.#doubt(Buffer.from(bytes))
      return
    }
    this.#believe(bytes)
  }

  /** Nothing of it is looked at before it is known whether it means what it was judged to mean. */
  #doubt(bytes: Buffer): void {
    this.#upstream.pause()
    if (this.#doubted !== undefined) {
      this.#doubted.push(bytes)
      return
    }
    this.#doubted = [bytes]
    this.#aftermath.check().then(
      () => {
        const [first, ...rest] = this.#doubted ?? []
        this.#doubted = undefined
        if (this.#closed || this.#finished) return
        if (first !== undefined) this.#believe(first)
        // What came later may be of a statement that had not run yet when it was looked.
        for (const each of rest) this.#fromUpstream(each)
        if (this.#doubted !== undefined) return
        if (this.#gone) this.#upstreamGone()
        else if (!this.#clientFull && this.#rest === undefined) this.#upstream.resume()
      },
      (error: unknown) => this.#fail(error),
    )
  }

  #believe(bytes: Buffer): void {
    try {
      this.#keepRest(bytes.subarray(this.#replies.push(bytes)))
      // What waits in a group that has failed is discarded with it: nobody has to be asked any more.
      if (this.#state.skipping) this.#held?.abort()
      this.#sendNotices()
      if (this.#lastWord !== undefined && this.#replies.atBoundary) this.#sayLastWord()
      this.#settled()
    } catch (error) {
      this.#fail(error)
    }
  }

  #flow(clientFull: boolean, upstreamFull: boolean): void {
    if (clientFull && !this.#clientFull) {
      this.#clientFull = true
      this.#upstream.pause()
    }
    if (upstreamFull && !this.#upstreamFull) {
      this.#upstreamFull = true
      this.#client.pause()
    }
    if (this.#ending !== undefined) this.#hangUp()
  }

  #clientEnd(): void {
    this.#clientEnded = true
    this.#giveUp()
    this.#settled()
  }

  /** A client that has said its last word still gets what it asked for; then both sides end. */
  #settled(): void {
    if (!this.#clientEnded || this.#stalls > 0) return
    const { pending, copyIn } = this.#state
    // A server that waits for COPY data waits for what will never come.
    if (pending.length > 0 && !copyIn) {
      if (pending.owesReady || this.#flushed) return
      if (this.#requests.atBoundary) {
        // Without a Sync the server keeps its answers to itself. Not a Sync of ours: that would commit.
        this.#flushed = true
        this.#session.forward(housekeeping, FLUSH)
        return
      }
      // It stopped in the middle of a message, in which nothing of ours can be said.
    }
    this.#end('client left')
  }

  #upstreamGone(): void {
    this.#gone = true
    if (this.#doubted !== undefined) return
    this.#end('upstream closed')
  }

  /** A fault: the client is told where that is still possible, and both sides end. */
  #fail(error: unknown): void {
    const known = asGatewayError(error)
    if (known.code === 'internal') this.#parts.report(error)
    if (this.#ending === undefined && this.#replies.atBoundary) this.#session.tell(errorBytes(known, 'FATAL'))
    if (this.#ending === undefined) this.#end(known.code)
    else if (this.#held === undefined && this.#rest === undefined) this.#finish(this.#ending)
  }

  /** The recording could not be written: nothing of this turn was sent, and nothing more will be. */
  #abandon(error: unknown): void {
    if (this.#closed) return
    this.#closed = true
    this.#ending = 'recording unavailable'
    this.#giveUp()
    this.#replies.lost()
    if (this.#replies.atBoundary) this.#client.write(errorBytes(asGatewayError(error), 'FATAL'))
    this.#client.end()
    this.#upstream.destroy()
    this.#session.close('recording unavailable')
    this.#parts.onClosed()
  }

  #end(reason: string): void {
    if (this.#ending !== undefined) return
    this.#ending = reason
    // What is held is given up first, so that its answer stands before the end of the recording.
    if (this.#held === undefined && this.#rest === undefined) this.#finish(reason)
    else this.#giveUp()
  }

  #finish(reason: string): void {
    if (this.#finished) return
    this.#finished = true
    this.#replies.lost()
    this.#session.forward(housekeeping, TERMINATE)
    this.#session.close(reason)
  }

  /** After the turn in which the last bytes were sent. */
  #hangUp(): void {
    if (this.#closed) return
    this.#closed = true
    this.#client.end()
    this.#upstream.end()
    this.#waiting = []
    const { client, upstream } = { client: this.#client, upstream: this.#upstream }
    client.onData = upstream.onData = ignore
    client.onEnd = () => client.destroy()
    upstream.onEnd = () => upstream.destroy()
    client.resume()
    upstream.resume()
    setTimeout(() => {
      client.destroy()
      upstream.destroy()
    }, LIMITS.hangUpMs).unref()
    this.#parts.onClosed()
  }
}

/** Whether a Terminate is among these messages; the last one may be cut. */
function saysFarewell(bytes: Buffer): boolean {
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    if (bytes[at] === CLIENT_TYPES.terminate) return true
    at += 1 + Math.max(4, bytes.readInt32BE(at + 1))
  }
  return false
}

function ignore(): void {
  // After the farewell nothing that arrives is looked at.
}
