import {
  assertNever,
  describeChain,
  type Entry,
  type Identity,
  OUTSIDE_COMMANDS,
  parameterLine,
  safe,
  safeText,
} from '../../core/index.ts'
import type { RecordedEntry } from './reader.ts'

/**
 * One entry as text for a terminal, without a newline at its end. Nothing in it can move the cursor, hide, or look
 * like an entry of its own: characters that do not show are spelled out, and lines after the first begin with a bar.
 */
export function formatEntry(recorded: RecordedEntry): string {
  const time = new Date(recorded.time).toISOString().slice(11, 23)
  const entry = withMarks(recorded.entry, recorded.erased)
  const lines = describe(entry, recorded.erased).join('\n').split('\n')
  return lines
    .map((line, index) => (index === 0 ? `${time}  ${line}` : `${' '.repeat(14)}| ${line}`))
    .join('\n')
}

/** Stands where a payload was erased. */
const ERASED = '[erased]'

/** The entry with a mark in the place of each text that was erased. Bodies are bytes of a protocol: they stay empty. */
export function withMarks(entry: Entry, erased: readonly string[] | undefined): Entry {
  if (erased === undefined) return entry
  const isErased = (name: string): boolean => erased.includes(name)
  switch (entry.kind) {
    case 'intent': {
      const { head } = entry
      return {
        kind: 'intent',
        head: {
          ...head,
          ...(isErased('text') ? { text: ERASED } : {}),
          ...(isErased('parameters') ? { parameters: [ERASED] } : {}),
          ...(isErased('reason') ? { reason: ERASED } : {}),
        },
      }
    }
    case 'answer':
      return isErased('reason') ? { kind: 'answer', head: { ...entry.head, reason: ERASED } } : entry
    case 'notice':
      return isErased('message') ? { kind: 'notice', head: { ...entry.head, message: ERASED } } : entry
    default:
      return entry
  }
}

function describe(entry: Entry, erased: readonly string[] = []): string[] {
  const bodyNote = erased.includes('body') ? ` ${ERASED}` : ''
  switch (entry.kind) {
    case 'open': {
      const { head } = entry
      const [first, ...rest] = head.chain
      const who =
        first === undefined ? 'nobody' : describeChain([first, ...rest] satisfies [Identity, ...Identity[]])
      return [
        safe(`open     ${who} on ${head.connection} (${head.protocol}) database ${head.database}`),
        safe(
          `from ${head.clientAddress} as "${head.program}", credential ${head.credential} by ${head.mintedBy}`,
        ),
      ]
    }
    case 'intent': {
      const { head } = entry
      const lines = [safe(`#${head.n} ${head.form}  ${head.class}: ${head.decision}${by(head.rules)}`)]
      if (head.reason !== undefined) lines.push(safe(`reason: ${head.reason}`))
      if (head.outward !== undefined && head.outward.length > 0)
        lines.push(safe(`outward: it holds what looks like ${head.outward.join(', ')}`))
      if (head.observed !== undefined && head.observed.length > 0)
        lines.push(safe(`observed: ${head.observed.join(', ')} would have decided otherwise`))
      if (head.masked !== undefined && head.masked.length > 0)
        lines.push(safe(`masked: ${head.masked.join(', ')}`))
      lines.push(safeText(head.text))
      head.parameters?.forEach((value, index) => {
        const bytes = value === null ? null : Buffer.from(value, 'base64')
        // The mark of a sealed one is no base64.
        const shown = value?.startsWith('[') === true ? value : parameterLine(bytes, head.readings?.[index])
        lines.push(safe(`$${index + 1} = ${shown}`))
      })
      return lines
    }
    case 'hold':
      return [safe(`#${entry.head.n} held as ${entry.head.ticket} until ${instant(entry.head.expiresAt)}`)]
    case 'answer': {
      const { n, ticket, answer, by: who, reason } = entry.head
      return [
        safe(
          `#${n} ${ticket} ${answer}${who === undefined ? '' : ` by ${who}`}${reason === undefined ? '' : `: ${reason}`}`,
        ),
      ]
    }
    case 'result':
      return entry.head.n === OUTSIDE_COMMANDS
        ? [
            `told     ${count(entry.body.length, 'byte')}, outside of commands${sealedNote(entry.head.sealed)}${bodyNote}`,
          ]
        : [
            safe(
              `#${entry.head.n} result, ${count(entry.body.length, 'byte')}${sealedNote(entry.head.sealed)}${bodyNote}`,
            ),
          ]
    case 'outcome': {
      const { n, outcome, tag, rows, bytes, unkept, ms, sealed } = entry.head
      const kept = unkept === 0 ? '' : ` (${count(unkept, 'byte')} not kept)`
      return [
        safe(
          `#${n} ${outcome}  ${tag}  ${count(rows, 'row')}, ${count(bytes, 'byte')}${kept}, ${ms} ms${sealedNote(sealed)}${bodyNote}`,
        ),
      ]
    }
    case 'input':
      return [safe(inputLine(entry, erased))]
    case 'notice':
      return [safe(`#${entry.head.n} notice ${entry.head.code}: ${entry.head.message}`)]
    case 'close':
      return [safe(`close    ${entry.head.reason}, ${count(entry.head.commands, 'command')}`)]
    case 'admin': {
      const { action, by: who, target, details } = entry.head
      const facts = Object.entries(details ?? {}).map(([name, value]) => `${name}=${value}`)
      return [safe([`${action} by ${who}`, ...(target === undefined ? [] : [target]), ...facts].join('  '))]
    }
    default:
      return assertNever(entry)
  }
}

/** `digest` is the SHA-256 of what was sent, which was more than is here. */
function inputLine(
  { head, body, digest }: Extract<Entry, { kind: 'input' }>,
  erased: readonly string[],
): string {
  const note = `${sealedNote(head.sealed)}${erased.includes('input') || erased.includes('digest') ? ` ${ERASED}` : ''}`
  const { end } = head
  if (end === undefined) return `#${head.n} sent, ${count(body?.length ?? 0, 'byte')}${note}`
  const kept = end.unkept === 0 ? '' : ` (${count(end.unkept, 'byte')} not kept)`
  // One that is sealed is no text.
  const isShown = digest !== undefined && digest.length > 0 && head.sealed === undefined
  const of = isShown ? `, SHA-256 ${Buffer.from(digest).toString('latin1')}` : ''
  return `#${head.n} sent, ${INPUT_ENDS[end.how]}  ${count(end.bytes, 'byte')} in all${kept}${of}${note}`
}

const INPUT_ENDS = { done: 'to its end', failed: 'given up by the client', cut: 'cut short' } as const

function by(rules: readonly string[]): string {
  return rules.length === 0 ? ', by no rule' : `, by ${rules.join(', ')}`
}

function sealedNote(labels: readonly string[] | undefined): string {
  return labels === undefined ? '' : ` [sealed ${labels.join(', ')}]`
}

function count(value: number, unit: string): string {
  return `${value.toLocaleString('en-US')} ${unit}${value === 1 ? '' : 's'}`
}

function instant(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : 'an unknown time'
}
