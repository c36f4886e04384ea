import { styleText } from 'node:util'
import { brokenAt, markedLines, reviewed, reviewedText, showLookAlikes, underFacts } from '../core/index.ts'
import type { Approval, ApprovalShown, Preview } from './approval-schema.ts'
import { columnsOf, facts, relative, table, terminalColumns } from './table.ts'

/** What came of an answer, in one line. */
export function told(answer: Approval): string {
  const { ticket, state } = answer
  if (state === 'pending') {
    const missing = answer.peopleNeeded - answer.answers.length
    return `${ticket}: your answer is kept; ${missing} more must approve.`
  }
  if (state === 'refused') {
    const { mutedUntil } = answer
    const muted =
      mutedUntil === undefined ? '' : ` Who asked can ask for nothing more ${relative(mutedUntil)}.`
    return `${ticket} is refused; it will not run.${muted}`
  }
  const until = relative(answer.expiresAt).replace('in ', '')
  if (answer.access !== undefined) {
    return `${ticket}: ${answer.access.name} on ${answer.connection} is open for ${until} from now.`
  }
  const { effect } = answer
  const only = effect === undefined ? '' : `, and takes effect only if it changes ${rowsText(effect)}`
  return `${ticket} is ${state}; it can run ${oftenText(answer.reuse)}, until ${until} from now${only}.`
}

function rowsText({ least, most }: { least: number; most: number }): string {
  return least === most ? `${least} ${least === 1 ? 'row' : 'rows'}` : `${least} to ${most} rows`
}

function oftenText(chosen: Approval['reuse']): string {
  switch (chosen?.kind) {
    case 'times':
      return `${chosen.times} times`
    case 'shape':
      return 'with other values as well'
    case 'session':
      return 'with other values as well, in its session'
    case undefined:
      return 'once'
  }
}

function warningsOf({ text, parameters = [], warnings }: Approval | ApprovalShown): readonly string[] {
  const isAlike = [text, ...parameters].some((each) => each !== null && showLookAlikes(each) !== each)
  return isAlike ? [...warnings, 'letters in it look like others: they stand as \\u{...}'] : warnings
}

/** `1 of 2 of the group dbas, or from 12:00 on of the group leads`. */
function stepText(step: Approval['steps'][number]): string {
  const { escalation } = step
  const others =
    escalation === undefined ? '' : `; ${relative(escalation.at)} also ${holdersText(escalation)}`
  return `${step.approved} of ${step.people}: ${step.anyone ? 'anyone with the role approver' : holdersText(step)}${others}`
}

function holdersText({
  groups,
  identities,
}: {
  groups: readonly string[]
  identities: readonly string[]
}): string {
  return [...groups.map((group) => `group ${group}`), ...identities].join(', ')
}

/** Cells of a sample are cut to what stands side by side on a terminal. */
const CELL_CHARACTERS_MAX = 40

const DOES = {
  read: 'read',
  write: 'change rows',
  define: 'change definitions',
  administer: 'change roles or settings',
  opaque: 'run code of which it is not known what it does',
} as const

/**
 * A request as who answers reads it: who wants what where, what is worth a second look, what is known of it, what it would change and
 * how others answered; then the whole command, each of whose lines has a mark that no line of ours has; then what can be typed now.
 * `room`: columns, so that no line is broken by the terminal.
 */
export function describe(of: Approval | ApprovalShown, room = terminalColumns()): string {
  const { state, ticket } = of
  const until = `${state === 'pending' ? 'lapses' : 'until'} ${relative(of.expiresAt)}`
  const wants = of.access === undefined ? DOES[classOf(of.class)] : `have the access ${of.access.name}`
  const head = `${styleText('bold', ticket)}  ${state === 'pending' ? 'waits for an answer' : state} (${until})`
  const what = of.access === undefined ? ', with the command below' : ', for this reason'
  const who = `${of.chain.join(' for ')} wants to ${wants} on ${of.connection}${what}`
  const shown = 'earlier' in of ? of : undefined
  const parts = [
    `${head}\n${hanging(reviewed(who), room)}`,
    warningsOf(of)
      .map((each) => styleText(['bold', 'red'], hanging(`! ${reviewed(each)}`, room)))
      .join('\n'),
    facts(factsOf(of), room),
    shown?.preview === undefined ? '' : previewText(shown.preview, room),
    earlierText(shown, room),
    commandText(of, room),
    state === 'pending' ? choices(of, shown) : '',
  ]
  return parts.filter((each) => each !== '').join('\n\n')
}

/** What has become of a request, in one line, for who watches. */
export function becameText(of: Approval): string {
  const { ticket, state, answers } = of
  const last = answers.at(-1)
  const said = last === undefined ? '' : ` (${reviewed(answerText(last))})`
  switch (state) {
    case 'pending':
      return `${ticket}  waits for more people${said}`
    case 'approved':
      return `${ticket}  ${of.uses === 0 ? 'approved' : `used ${of.uses} times, and may be used again`}${said}`
    case 'refused':
      return `${ticket}  refused${said}`
    case 'used':
      return `${ticket}  used: it was let run`
    case 'withdrawn':
      return `${ticket}  withdrawn by who asked`
    case 'superseded':
      return `${ticket}  superseded: rules or definitions have changed`
    default:
      return `${ticket}  ${state}`
  }
}

/** The command, marked, and its parameters. */
function commandText({ text, parameters = [] }: Pick<Approval, 'text' | 'parameters'>, room: number): string {
  return [
    ...markedLines(reviewedText(text), room, columnsOf),
    ...parameters.map((value, index) =>
      hanging(`$${index + 1} = ${value === null ? 'NULL' : reviewed(value)}`, room),
    ),
  ].join('\n')
}

/** What goes on in a next line stands further in than anything that begins one. */
function hanging(line: string, room: number): string {
  return brokenAt(line, room - 8, columnsOf).join('\n        ')
}

/** What a command did when it was tried out. */
export function previewText(of: Preview, room = terminalColumns()): string {
  const { rows, tables, failure, sample, notes, ms } = of
  const counted = tables.map((each) => [
    each.name,
    ...[each.inserted, each.updated, each.deleted].map(String),
  ])
  const titles = ['TABLE', 'INSERTED', 'UPDATED', 'DELETED'].map((title, i) => ({ title, right: i > 0 }))
  const said =
    failure !== undefined
      ? `It would fail: ${reviewed(failure)}.`
      : rows === undefined
        ? 'What it changes could not be counted.'
        : `It would change ${rowsText({ least: rows, most: rows })} in all.`
  const head = `${styleText('bold', 'Tried out and rolled back')} in ${ms} ms. ${said}`
  const masked =
    sample === undefined || sample.masked.length === 0 ? '' : ` (masked for you: ${sample.masked.join(', ')})`
  const shown =
    sample === undefined || sample.rows.length === 0
      ? []
      : [
          `${sample.more ? 'Some of the rows' : 'The rows'}${masked}:`,
          table(
            sample.columns.map((title) => ({ title })),
            sample.rows.map((row) => row.map((cell) => cutCell(cell ?? 'NULL'))),
            room,
          ),
        ]
  return [
    hanging(head, room),
    ...(counted.length === 0 ? [] : [table(titles, counted, room)]),
    ...shown,
    ...notes.map((note) => hanging(reviewed(note), room)),
  ].join('\n')
}

function cutCell(text: string): string {
  const characters = [...text]
  return characters.length <= CELL_CHARACTERS_MAX
    ? text
    : `${characters.slice(0, CELL_CHARACTERS_MAX - 3).join('')}...`
}

/** Which values may be others once it is approved for its shape, or for the session. */
function variesText({ offer, varies = [] }: Approval): readonly string[] {
  if (offer.shapeMs === undefined && offer.session !== true) return []
  return varies.length === 0 ? ['nothing: for a shape or the session it is this very command'] : varies
}

function factsOf(of: Approval): (readonly [string, string])[] {
  return [
    ['class', of.class],
    ...(of.reads.length === 0 ? [] : [['reads', of.reads.join(', ')] as const]),
    ...(of.writes.length === 0 ? [] : [['writes', of.writes.join(', ')] as const]),
    ...(of.estimatedRows === undefined
      ? []
      : [
          [
            'estimate',
            `about ${rowsText({ least: of.estimatedRows, most: of.estimatedRows })}, as the planner guesses`,
          ] as const,
        ]),
    ...(of.under === undefined ? [] : underFacts(of.under)),
    ['asked by', of.rules.join(', ') || 'no rule lets it run unreviewed'],
    ['asked', relative(of.createdAt)],
    ...(of.access?.emergency === true
      ? [['emergency', 'taken by who asked, granted by nobody'] as const]
      : []),
    ...(of.request === undefined ? [] : [['request', of.request] as const]),
    ...of.steps.map((step, index) => [`step ${index + 1}`, stepText(step)] as const),
    ...(of.reasonNeeded ? [['reason', 'who approves has to say why'] as const] : []),
    ...(of.effectRequired ? [['rows', 'who approves has to say how many may change'] as const] : []),
    ...(of.effect === undefined ? [] : [['only if', `it changes ${rowsText(of.effect)}`] as const]),
    ...variesText(of).map((line) => ['may vary', reviewed(line)] as const),
    ...(of.uses === 0 ? [] : [['used', `${of.uses} times`] as const]),
    ...of.answers.map((each) => ['answer', answerText(each)] as const),
  ]
}

function answerText(each: Approval['answers'][number]): string {
  const { effect, reason } = each
  const only =
    effect === undefined
      ? ''
      : ` for ${effect.rows} rows${effect.tolerance === 0 ? '' : ` (${effect.tolerance} more or fewer)`}`
  return `${each.verdict} by ${each.by}${only}${reason === undefined ? '' : `: ${reason}`}`
}

function earlierText(of: ApprovalShown | undefined, room: number): string {
  if (of === undefined || of.earlier.length === 0) return ''
  const rows = of.earlier.map((each) => [relative(each.at), answerText(each), each.ticket])
  return `Commands like it were answered before:\n${table([{ title: 'WHEN' }, { title: 'ANSWER' }, { title: 'TICKET' }], rows, room)}`
}

/** What can be typed now. */
function choices(of: Approval, shown: ApprovalShown | undefined): string {
  const { ticket, offer, countable, effectRequired } = of
  const base = `sluice approvals approve ${ticket}`
  const rows = shown?.preview?.rows
  const bound = rows === undefined ? 'N' : String(rows)
  const only = effectRequired ? ` --rows ${bound}` : ''
  const { times, shapeMs, session } = offer
  const all: (readonly [string, string])[] = [
    ...(shown?.previewable === true && shown.preview === undefined
      ? [['try it out first', `sluice approvals preview ${ticket}`] as const]
      : []),
    ...(effectRequired ? [] : [['approve once', base] as const]),
    ...(countable.can
      ? [
          [
            rows === undefined ? 'only if N rows change' : `only if ${bound} rows change`,
            `${base} --rows ${bound}`,
          ] as const,
        ]
      : []),
    ...(times === undefined
      ? []
      : [[`up to ${times} times`, `${base} --for times=${times}${only}`] as const]),
    ...(shapeMs === undefined
      ? []
      : [
          [
            `this shape for ${durationText(shapeMs)}`,
            `${base} --for shape=${durationText(shapeMs)}${only}`,
          ] as const,
        ]),
    ...(session === true ? [['this session', `${base} --for session${only}`] as const] : []),
    ['refuse', `sluice approvals deny ${ticket} --reason "..."`],
  ]
  const why =
    countable.can || of.access !== undefined
      ? ''
      : `\nNot for a number of rows: ${reviewed(countable.why ?? 'they cannot be counted')}.`
  return facts(all) + why
}

function durationText(ms: number): string {
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000}h`
  return ms % 60_000 === 0 ? `${ms / 60_000}m` : `${Math.floor(ms / 1000)}s`
}

function classOf(text: string): keyof typeof DOES {
  return CLASSES.get(text) ?? 'opaque'
}

const CLASSES: ReadonlyMap<string, keyof typeof DOES> = new Map([
  ['read', 'read'],
  ['write', 'write'],
  ['define', 'define'],
  ['administer', 'administer'],
  ['opaque', 'opaque'],
])

export function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length <= 60 ? line : `${line.slice(0, 57)}...`
}
