import {
  commandFor,
  cutNote,
  type Digest,
  headline,
  markedText,
  type Message,
  requestFacts,
  underOf,
  warningLines,
} from '../message.ts'

/**
 * Characters of one text: https://docs.slack.dev/reference/block-kit/blocks. All blocks together were seen to be refused from 13,000
 * on, as JSON has them: so many sections of a command, and what stands beside them, stay below.
 */
const TEXT_MAX = 3_000
const COMMAND_SECTIONS_MAX = 3
const BESIDE_MAX = 1_000
const UNDER_MAX = 700
const FENCE = '```'

export type Block = Readonly<Record<string, unknown>> & { readonly type: string }

/** What Slack is given to show. */
export type SlackMessage = {
  /** For notifications of the system, and readers of screens. */
  readonly text: string
  readonly blocks: readonly Block[]
}

export const APPROVE = 'sluice_approve'
export const REFUSE = 'sluice_refuse'

/** `&`, `<` and `>` are all that is escaped: https://docs.slack.dev/messaging/formatting-message-text */
export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** Text in which no mark-up works. */
function plain(id: string, text: string, max = BESIDE_MAX): Block {
  return {
    type: 'section',
    block_id: id,
    text: { type: 'plain_text', text: fitting(text, max), emoji: false },
  }
}

/** Text with mark-up of our own. */
function marked(id: string, text: string): Block {
  return { type: 'section', block_id: id, text: { type: 'mrkdwn', text, verbatim: true } }
}

/** Escaped, and cut between characters if it has to be. */
function fitting(text: string, max: number): string {
  let kept = ''
  let length = 0
  for (const character of text) {
    length += lengthOf(character)
    if (length > max) return `${kept}\u2026`
    kept += escaped(character)
  }
  return kept
}

function fits(text: string, max: number): boolean {
  let length = 0
  for (const character of text) length += lengthOf(character)
  return length <= max
}

/** How much of a message a character takes that is escaped for Slack, and then for JSON. Others that JSON escapes do not come here. */
function lengthOf(character: string): number {
  switch (character) {
    case '&':
      return 5
    case '<':
    case '>':
      return 4
    case '"':
    case '\\':
    case '\n':
      return 2
    default:
      return character.length
  }
}

type Shown = { readonly blocks: readonly Block[]; readonly shown: number; readonly total: number }

/** The command in sections of fixed width, as much as there is room for, and how many characters that is. */
function commandSections(message: Message): Shown {
  // Three in a row would end the section.
  const text = markedText(message).replace(/`{3,}/g, (run) => '\\u{60}'.repeat(run.length))
  const room = TEXT_MAX - 2 * (FENCE.length + 1)
  const parts: string[] = []
  let part = ''
  let length = 0
  let shown = 0
  for (const character of text) {
    length += lengthOf(character)
    if (length > room) {
      if (parts.length === COMMAND_SECTIONS_MAX - 1) break
      parts.push(part)
      part = ''
      length = lengthOf(character)
    }
    part += escaped(character)
    shown += character.length
  }
  parts.push(part)
  const blocks = parts.map((each, index) => marked(`command-${index + 1}`, `${FENCE}\n${each}\n${FENCE}`))
  return { blocks, shown, total: text.length }
}

/** A request that is announced: with buttons where a click may answer it, else with the way to where one logs in. */
export function announcement(message: Message): SlackMessage {
  const { event, access } = message
  const first = access?.emergency === true ? 'emergency' : 'requested'
  const isFirst = event.name === first
  return {
    text: escaped(headline(message)),
    blocks: [
      plain('headline', headline(message)),
      ...factsAndCommand(message),
      ...(isFirst && hasButtons(message) ? [buttons(message.ticket)] : []),
      whereTo(message),
    ],
  }
}

/** What stands now, in the place of the announcement. */
export function outcome(message: Message): SlackMessage {
  const said = message.answers.map(
    ({ verdict, by }) => `${verdict === 'approve' ? 'approved' : 'refused'} by ${by}`,
  )
  return {
    text: escaped(headline(message)),
    blocks: [
      plain('headline', headline(message)),
      ...factsAndCommand(message),
      plain('outcome', [`state: ${message.state}`, ...said].join('\n')),
      whereTo(message),
    ],
  }
}

export function together({ tickets, more, link }: Digest): SlackMessage {
  const lines = tickets.map(
    ({ ticket, who, connection }) => `${ticket} on ${connection}: ${who.slice(0, 100)}`,
  )
  const text = `${tickets.length + more} requests wait for approval`
  return {
    text,
    blocks: [
      plain('headline', text),
      plain('tickets', [...lines, ...(more === 0 ? [] : [`and ${more} more`])].join('\n')),
      marked('where', link === undefined ? 'Type: `sluice approvals ls`' : linked(link, 'Open the list')),
    ],
  }
}

/**
 * Whether a click may answer it: where an answer through the channel counts, all of the command and of what its session has changed is
 * shown, and nothing has to be written for it.
 */
export function hasButtons(message: Message): boolean {
  const { shown, total } = commandSections(message)
  return message.mayAnswer && shown === total && !message.reasonNeeded && fits(underText(message), UNDER_MAX)
}

function underText(message: Message): string {
  return factLines(underOf(message))
}

function factLines(facts: ReturnType<typeof underOf>): string {
  return facts.map(([name, value]) => `${name}: ${value}`).join('\n')
}

function factsAndCommand(message: Message): readonly Block[] {
  const { blocks, shown, total } = commandSections(message)
  const warnings = warningLines(message)
  const under = underText(message)
  return [
    ...(warnings.length === 0 ? [] : [plain('warnings', warnings.join('\n'), UNDER_MAX)]),
    ...(under === '' ? [] : [plain('under', under, UNDER_MAX)]),
    plain('facts', factLines(requestFacts(message))),
    ...blocks,
    ...(shown < total ? [plain('cut', `${cutNote(shown, total)}. Read all of it before you answer.`)] : []),
  ]
}

function buttons(ticket: string): Block {
  const button = (text: string, action: string, style: string): Block => ({
    type: 'button',
    action_id: action,
    value: ticket,
    style,
    text: { type: 'plain_text', text, emoji: false },
  })
  const elements = [button('Approve', APPROVE, 'primary'), button('Deny', REFUSE, 'danger')]
  return { type: 'actions', block_id: 'answer', elements }
}

function whereTo({ ticket, link }: Message): Block {
  const typed = `\`${commandFor(ticket)}\``
  return marked(
    'where',
    link === undefined ? `To answer, type: ${typed}` : `${linked(link, 'Open it')}, or type: ${typed}`,
  )
}

/** The address comes from the configuration, and was checked there. */
function linked(address: string, name: string): string {
  return `<${escaped(new URL(address).href).replaceAll('|', '%7C')}|${name}>`
}
