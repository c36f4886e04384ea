import { expect, test } from 'vitest'
import type { RecordedEvent } from '../events/assembler.ts'
import { octetCounted, syslogDatagram, syslogMessage } from './syslog-format.ts'

const event: RecordedEvent = {
  what: 'command',
  id: '01KDVDNA00AAAAAAAAAAAAAAAA-7',
  sequence: 12,
  frameTime: Date.UTC(2026, 0, 31, 12, 0, 1),
  time: Date.UTC(2026, 0, 31, 12, 0, 0, 5),
  blocked: false,
  facts: { identity: 'person:ada "the \\ one" [x]', connection: 'crm', decision: 'allow' },
  ocsf: { text: 'Grüße 🙂' },
  json: '{"text":"Grüße 🙂"}',
}
const naming = { facility: 13, enterprise: 32_473, hostname: 'gateway.example.com' }

test('a message has the form of RFC 5424: quotes, backslashes and brackets are escaped, the JSON is ASCII', () => {
  expect(syslogMessage(event, naming).toString('latin1')).toBe(
    '<110>1 2026-01-31T12:00:00.005Z gateway.example.com sluice - command ' +
      '[sluice@32473 event="01KDVDNA00AAAAAAAAAAAAAAAA-7" identity="person:ada \\"the \\\\ one\\" [x\\]" connection="crm" decision="allow"] ' +
      '{"text":"Gr\\u00fc\\u00dfe \\ud83d\\ude42"}',
  )
})

test('what was refused is a warning, what administrators did a notice', () => {
  expect(syslogMessage({ ...event, blocked: true }, naming).toString()).toMatch(/^<108>1 /)
  expect(syslogMessage({ ...event, what: 'admin' }, naming).toString()).toMatch(/^<109>1 .* - admin \[/)
})

test('nothing that a name has in it ends a message or its structured data early', () => {
  const message = syslogMessage(
    { ...event, facts: { program: 'a\nb\u0000"]x' } },
    { ...naming, hostname: 'ä b' },
  )
  expect(message.toString('utf8')).toContain(' __b sluice - ')
  expect(message.toString('utf8')).toContain('program="a b \\"\\]x"]')
  expect(message.includes(10)).toBe(false)
})

test('its length in bytes, not in characters, stands before a message (RFC 6587, RFC 5425)', () => {
  const message = Buffer.from('<110>1 - - - - - - ü')
  expect(octetCounted(message).toString()).toBe('21 <110>1 - - - - - - ü')
})

test('a datagram is never longer than it may be, and says how long the whole was', () => {
  const long = { ...event, json: `{"a":"${'x'.repeat(3_000)}"}` }
  const whole = syslogMessage(long, naming).length
  const message = syslogDatagram(long, naming, 2_048)
  expect(message.length).toBeLessThan(2_048)
  expect(message.toString()).toMatch(new RegExp(`decision="allow" left="${whole}"\\]$`))
  const names = { ...long, facts: { ...event.facts, session: 's', rule: 'r'.repeat(3_000) } }
  const least = syslogDatagram(names, naming, 480).toString()
  expect(least.length).toBeLessThanOrEqual(480)
  expect(least).toContain('session="s" decision="allow" left=')
  expect(syslogDatagram(event, naming, 2_048)).toEqual(syslogMessage(event, naming))
})
