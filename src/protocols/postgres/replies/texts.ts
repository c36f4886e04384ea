import { decodeServer, encodeServer, SERVER_TYPES } from '../../../wire/postgres/index.ts'
import type { ReplySurroundings } from './reply-surroundings.ts'
import type { Reached } from './withheld.ts'

/** Commands of one group whose texts are remembered. */
const SAID_MAX = 100

/** Where a text goes that may be told, behind what was said before it; `always`: recorded where there is no command, too. */
type Say = (buffer: Buffer, start: number, end: number, always: boolean) => void

/**
 * What the server says in words: errors, notices, notifications and settings. Passes on what the client may hear of
 * each: in full, without what could be a value, or not at all.
 */
export class Texts {
  readonly #around: ReplySurroundings
  readonly #say: Say
  /** The texts of the commands since the last ReadyForQuery: settings are reported right before the next. */
  #said: string[] = []

  constructor(around: ReplySurroundings, say: Say) {
    this.#around = around
    this.#say = say
  }

  /** A command with this text is answered now. */
  follow(text: string): void {
    if (this.#said.length < SAID_MAX) this.#said.push(text)
  }

  /** Everything said so far has been answered. */
  ready(): void {
    this.#said = []
  }

  /** An error or a notice, without what could be a value that this client may not see. */
  error(type: number, buffer: Buffer, from: number, start: number, end: number): void {
    if (this.#around.inReach() !== undefined) {
      const message = decodeServer(type, buffer, start, end)
      if (message.kind === 'errorResponse' || message.kind === 'noticeResponse') {
        const shown = this.#around.shownText(message.kind, message.fields, this.#spokenOf())
        if (shown === undefined) return
        if (shown !== message.fields) {
          const scrubbed = encodeServer({ kind: message.kind, fields: shown })
          this.#say(scrubbed, 0, scrubbed.length, true)
          return
        }
      }
    }
    this.#say(buffer, from, end, true)
  }

  /** The command that what the server says now is about: what a commit runs belongs to all before it. */
  #spokenOf(): Reached | 'anything' | undefined {
    const head = this.#around.state.pending.first()
    switch (head?.kind) {
      case 'query':
      case 'execute':
      case 'own':
      case 'commit':
        return head.flight.command
      case 'bind':
        return head.of === undefined ? 'anything' : { text: head.of.text, facts: head.of.judgement.facts }
      case 'parse':
      case 'describe':
        return head.of?.judgement.facts.attributes['ownTypes'] === true
          ? { text: head.of.text, facts: head.of.judgement.facts }
          : undefined
      case 'close':
      case 'refusal':
        return undefined
      default:
        return 'anything'
    }
  }

  /** Other sessions write the payload. */
  notification(buffer: Buffer, from: number, start: number, end: number): void {
    const message = decodeServer(SERVER_TYPES.notificationResponse, buffer, start, end)
    if (message.kind === 'notificationResponse' && this.#around.withholds('anything')) {
      const empty = encodeServer({ ...message, payload: '' })
      this.#say(empty, 0, empty.length, false)
      return
    }
    this.#say(buffer, from, end, false)
  }

  parameterStatus(buffer: Buffer, from: number, start: number, end: number): void {
    const message = decodeServer(SERVER_TYPES.parameterStatus, buffer, start, end)
    if (message.kind === 'parameterStatus') {
      this.#around.parameter(message.name, message.value)
      if (this.#around.inReach() !== undefined) {
        const own = this.#around.settings.isOwn(message.name, message.value, this.#said)
        if (!own && this.#around.withholds('anything')) return
      }
    }
    const shown = this.#around.shownApplicationName
    if (message.kind === 'parameterStatus' && message.name === 'application_name' && shown !== undefined) {
      this.#around.session.reply(encodeServer({ ...message, value: shown(message.value) }))
      return
    }
    this.#say(buffer, from, end, false)
  }
}
