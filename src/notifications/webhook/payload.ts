import { LIMITS } from '../../core/index.ts'
import { askedText, commandFor, cut, type Message } from '../message.ts'

/** The body of a webhook, as JSON. Its fields are part of the interface: docs/approvals-channels.md lists them. */
export function payloadOf(message: Message): string {
  const { event, access, isSealed, answers } = message
  const { text, parameters, total, shown } = fitted(message)
  return JSON.stringify({
    type: `approval.${event.name}`,
    timestamp: new Date(event.at).toISOString(),
    data: {
      ticket: message.ticket,
      state: message.state,
      chain: message.chain,
      connection: message.connection,
      class: message.class,
      access,
      text,
      parameters,
      truncated: shown < total ? { shown, total } : undefined,
      sealed: isSealed,
      reads: message.reads.slice(0, NAMES_MAX),
      writes: message.writes.slice(0, NAMES_MAX),
      warnings: message.warnings,
      estimatedRows: message.estimatedRows,
      under: message.under,
      requestedAt: new Date(message.createdAt).toISOString(),
      expiresAt: new Date(message.expiresAt).toISOString(),
      peopleNeeded: message.peopleNeeded,
      approved: message.approved,
      reasonNeeded: message.reasonNeeded,
      answers: answers.map(({ verdict, by, at }) => ({ verdict, by, at: new Date(at).toISOString() })),
      answerable: message.mayAnswer && isWhole(message),
      link: message.link,
      command: commandFor(message.ticket),
    },
  })
}

/** Whether all of the command is in it. */
export function isWhole(message: Message): boolean {
  return askedText(message).length <= LIMITS.notificationTextMax
}

const NAMES_MAX = 100

/** As much as there is room for: of the text its beginning, of the parameters those that fit. */
function fitted(message: Message): {
  readonly text: string
  readonly parameters: readonly (string | null)[]
  readonly shown: number
  readonly total: number
} {
  const { text, parameters } = message
  const total = askedText(message).length
  if (total <= LIMITS.notificationTextMax) return { text, parameters, shown: total, total }
  const begin = cut(text, LIMITS.notificationTextMax)
  const kept: (string | null)[] = []
  let shown = begin.length
  for (const value of begin.length < text.length ? [] : parameters) {
    const length = askedText({ text: '', parameters: [...kept, value] }).length
    if (begin.length + length > LIMITS.notificationTextMax) break
    kept.push(value)
    shown = begin.length + length
  }
  return { text: begin, parameters: kept, shown, total }
}
