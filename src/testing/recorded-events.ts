import type { RecordedEvent } from '../recording/events/assembler.ts'

/** An event for tests of what becomes of events. */
export function eventOf(n: number, rest: Partial<RecordedEvent> = {}): RecordedEvent {
  const ocsf = { n, list: [true, 0.5] }
  const time = Date.UTC(2026, 0, 1) + n
  return {
    what: 'command',
    id: `event-${n}`,
    sequence: n,
    frameTime: time,
    time,
    blocked: false,
    facts: { decision: 'allow' },
    ocsf,
    json: JSON.stringify(ocsf),
    ...rest,
  }
}
