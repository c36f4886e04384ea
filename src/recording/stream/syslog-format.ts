import type { RecordedEvent } from '../events/assembler.ts'
import type { SyslogSettings } from './settings.ts'

/** RFC 5424 section 6.2.1: severities. */
const WARNING = 4
const NOTICE = 5
const INFORMATIONAL = 6

const MSGIDS = {
  command: 'command',
  open: 'session-open',
  close: 'session-close',
  admin: 'admin',
} as const satisfies Record<RecordedEvent['what'], string>

export type SyslogNaming = Pick<SyslogSettings, 'facility' | 'enterprise'> & { readonly hostname: string }

/**
 * An event as a message of RFC 5424: what one looks for as structured data, the whole as JSON. The JSON is ASCII, so that it
 * needs no byte order mark (section 6.4), which many readers of JSON do not take.
 */
export function syslogMessage(event: RecordedEvent, naming: SyslogNaming): Buffer {
  return Buffer.concat([headOf(event, naming, {}), Buffer.from(` ${asciiJson(event.json)}`, 'latin1')])
}

/**
 * The same in at most so many bytes: RFC 5426 section 3.2 lets no message be larger than a datagram, and recommends what is
 * not cut into fragments on its way. Too long, it has no JSON, and says in the structured data how long that was.
 */
export function syslogDatagram(event: RecordedEvent, naming: SyslogNaming, bytesMax: number): Buffer {
  const whole = syslogMessage(event, naming)
  if (whole.length <= bytesMax) return whole
  const message = headOf(event, naming, { left: String(whole.length) })
  if (message.length <= bytesMax) return message
  // Names that long are no accident: the event can be found by its id.
  const { session, decision } = event.facts
  const few = {
    ...(session === undefined ? {} : { session }),
    ...(decision === undefined ? {} : { decision }),
  }
  return headOf({ ...event, facts: few }, naming, { left: String(whole.length) })
}

/** RFC 6587 section 3.4.1 and RFC 5425 section 4.3: the length in bytes stands before each message. */
export function octetCounted(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${message.length} `, 'latin1'), message])
}

function headOf(
  event: RecordedEvent,
  { facility, enterprise, hostname }: SyslogNaming,
  more: Readonly<Record<string, string>>,
): Buffer {
  const priority = facility * 8 + severityOf(event)
  const time = new Date(event.time).toISOString()
  const parameters = Object.entries({ event: event.id, ...event.facts, ...more })
    .map(([name, value]) => ` ${name}="${parameterValue(value)}"`)
    .join('')
  const id = MSGIDS[event.what]
  return Buffer.from(
    `<${priority}>1 ${time} ${printable(hostname, 255)} sluice - ${id} [sluice@${enterprise}${parameters}]`,
    'utf8',
  )
}

function severityOf({ what, blocked }: RecordedEvent): number {
  return blocked ? WARNING : what === 'admin' ? NOTICE : INFORMATIONAL
}

/** Section 6.3.3: `"`, `\` and `]` are escaped. Control characters are not: some readers end a message at them. */
function parameterValue(value: string): string {
  return value
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ')
    .replaceAll(/["\\\]]/g, (character) => `\\${character}`)
}

/** Section 6: PRINTUSASCII, `-` for nothing. */
function printable(text: string, max: number): string {
  return text.replaceAll(/[^\x21-\x7e]/g, '_').slice(0, max) || '-'
}

function asciiJson(json: string): string {
  return json.replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
