import type { Approval } from '../approvals/index.ts'
import { answersThrough, peopleNeeded } from '../approvals/index.ts'
import type { ChannelBlock } from '../config/channel-block.ts'
import type { CommandClass, RunsUnder } from '../core/index.ts'
import {
  cutAt,
  describeChain,
  identityKey,
  markedLines,
  reviewed,
  reviewedText,
  underFacts,
  withoutFieldValues,
} from '../core/index.ts'
import { type ApprovalEvent, notificationId } from './events.ts'

/** What a channel says of an event. Holds nothing that not everybody may read of the request. */
export type Message = {
  /** Of the notification. */
  readonly id: string
  readonly event: ApprovalEvent
  readonly ticket: string
  readonly state: Approval['state']
  /** Who acts first, then on whose behalf. */
  readonly chain: readonly string[]
  readonly who: string
  readonly connection: string
  readonly class: CommandClass
  readonly access: Approval['access']
  /** The whole command, with what does not show spelled out; of sealed values only their labels. */
  readonly text: string
  readonly parameters: readonly (string | null)[]
  /** Whether values are sealed in it: they are shown to who logs in. */
  readonly isSealed: boolean
  readonly reads: readonly string[]
  readonly writes: readonly string[]
  /** What is worth a second look. */
  readonly warnings: readonly string[]
  readonly estimatedRows: number | undefined
  /** Under what it would run; undefined where access is asked for. */
  readonly under: RunsUnder | undefined
  readonly createdAt: number
  readonly expiresAt: number
  readonly peopleNeeded: number
  readonly approved: number
  readonly reasonNeeded: boolean
  readonly answers: readonly {
    readonly verdict: 'approve' | 'refuse'
    readonly by: string
    readonly at: number
  }[]
  /** Whether an answer through this channel counts now, if the channel can show all of it. */
  readonly mayAnswer: boolean
  /** Where to look at it; undefined when the API has no public URL. */
  readonly link: string | undefined
}

/** Many events told as one. */
export type Digest = {
  readonly tickets: readonly { readonly ticket: string; readonly who: string; readonly connection: string }[]
  /** Beyond those. */
  readonly more: number
  readonly link: string | undefined
}

export function messageOf(
  approval: Approval,
  event: ApprovalEvent,
  channel: ChannelBlock,
  publicUrl: string | undefined,
): Message {
  const { text, parameters = [] } = approval.shown ?? approval
  return {
    id: notificationId(channel.name, approval.ticket, event.key),
    event,
    ticket: approval.ticket,
    state: approval.state,
    chain: approval.chain.map((identity) => reviewed(identityKey(identity))),
    who: reviewed(describeChain(approval.chain)),
    connection: approval.connection,
    class: approval.class,
    access: approval.access,
    text: reviewedText(text),
    parameters: parameters.map((value) => (value === null ? null : reviewed(value))),
    isSealed: approval.shown !== undefined,
    reads: approval.reads.map(reviewed),
    writes: approval.writes.map(reviewed),
    warnings: (approval.warnings ?? []).map(reviewed),
    estimatedRows: approval.estimatedRows,
    under:
      approval.shown === undefined || approval.under === undefined
        ? approval.under
        : withoutFieldValues(approval.under),
    createdAt: approval.createdAt,
    expiresAt: approval.expiresAt,
    peopleNeeded: peopleNeeded(approval.route),
    approved: approval.answers.filter(({ verdict }) => verdict === 'approve').length,
    reasonNeeded: approval.route.reason,
    answers: approval.answers.map(({ verdict, by, at }) => ({ verdict, by: reviewed(identityKey(by)), at })),
    mayAnswer: isOpenTo(channel, approval),
    link: publicUrl === undefined ? undefined : `${publicUrl}/approvals/${approval.ticket}`,
  }
}

function isOpenTo(channel: ChannelBlock, approval: Approval): boolean {
  const { state, answers } = approval
  return (
    'answers' in channel &&
    channel.answers !== undefined &&
    answersThrough(approval, channel.name) &&
    state === 'pending' &&
    !answers.some(({ method }) => method === 'channel')
  )
}

/** The command as it is counted: its text, and a line for each parameter. */
export function askedText({ text, parameters }: Pick<Message, 'text' | 'parameters'>): string {
  return [text, ...parametersText(parameters)].join('\n')
}

/**
 * The command as people read it: none of its lines looks like a line of ours, nor like that of a parameter. What is beyond `max`
 * characters of `askedText` is not there.
 */
export function markedText(
  { text, parameters }: Pick<Message, 'text' | 'parameters'>,
  max = Infinity,
): string {
  const lines = markedLines(cutAt(text, max))
  const rest = max - text.length - 1
  const values =
    rest <= 0 || parameters.length === 0 ? '' : cutAt(parametersText(parameters).join('\n'), rest)
  return [...lines, ...(values === '' ? [] : [values])].join('\n')
}

function parametersText(parameters: Message['parameters']): string[] {
  return parameters.map((value, index) => `$${index + 1} = ${value ?? 'NULL'}`)
}

export { cutAt as cut }

export function cutNote(shown: number, total: number): string {
  return `cut: ${figure(shown)} of ${figure(total)} characters are shown`
}

function figure(value: number): string {
  return value.toLocaleString('en-US')
}

/** What has happened, in a few words. */
export function headline(message: Message): string {
  const { event, ticket, connection, state, answers } = message
  switch (event.name) {
    case 'requested':
      return `${ticket}: approval needed on ${connection}`
    case 'emergency':
      return `${ticket}: EMERGENCY access taken on ${connection}`
    case 'escalated':
      return `${ticket}: still waiting on ${connection}, others may answer now`
    case 'answered': {
      const by = event.answer === undefined ? '' : ` by ${reviewed(identityKey(event.answer.by))}`
      const verdict = event.answer?.verdict === 'approve' ? 'approved' : 'refused'
      const missing = state === 'pending' ? `, ${message.peopleNeeded - message.approved} more needed` : ''
      return `${ticket}: ${verdict}${by}${missing}`
    }
    case 'used':
      return `${ticket}: used${answers.length === 0 ? '' : `, approved by ${approvers(message)}`}`
    default:
      return `${ticket}: ${event.name}`
  }
}

function approvers({ answers }: Message): string {
  return answers
    .filter(({ verdict }) => verdict === 'approve')
    .map(({ by }) => by)
    .join(', ')
}

type Fact = readonly [name: string, value: string]

/** What is worth knowing besides the command. */
export function factsOf(message: Message): readonly Fact[] {
  const [who, connection, ...rest] = requestFacts(message)
  return [...(who ? [who] : []), ...(connection ? [connection] : []), ...underOf(message), ...rest]
}

/** Under what it would run. */
export function underOf({ under }: Pick<Message, 'under'>): readonly Fact[] {
  return under === undefined ? [] : underFacts(under)
}

/** Everything else. */
export function requestFacts(message: Message): readonly Fact[] {
  const { who, connection, class: kind, access, reads, writes, expiresAt, peopleNeeded: people } = message
  const { estimatedRows } = message
  return [
    ['who', who],
    ['connection', connection],
    access === undefined
      ? ['class', kind]
      : ['access', `${access.name} for ${Math.ceil(access.ms / 60_000)} min, rules of class ${kind}`],
    ...(writes.length === 0 ? [] : [['writes', listed(writes)] as const]),
    ...(reads.length === 0 ? [] : [['reads', listed(reads)] as const]),
    ...(estimatedRows === undefined
      ? []
      : [['rows', `about ${figure(estimatedRows)}, as the planner guesses`] as const]),
    ...(message.isSealed ? [['sealed', 'values in it are shown to approvers who log in'] as const] : []),
    ['people', people === 1 ? 'one has to approve' : `${people} have to approve`],
    ['until', `${new Date(expiresAt).toISOString().slice(0, 16).replace('T', ' ')} UTC`],
  ]
}

/** What people look at twice, a line for each: it stands before everything else. */
export function warningLines({ warnings }: Pick<Message, 'warnings'>): readonly string[] {
  return warnings.map((each) => `! ${each}`)
}

const LISTED_MAX = 10

function listed(names: readonly string[]): string {
  const first = names.slice(0, LISTED_MAX).map((name) => cutAt(name, 128))
  return `${first.join(', ')}${names.length > LISTED_MAX ? `, and ${names.length - LISTED_MAX} more` : ''}`
}

/** How to look at it and answer, for who cannot click. */
export function commandFor(ticket: string): string {
  return `sluice approvals show ${ticket}`
}
