import { expect, it } from 'vitest'
import type { Permitted } from '../../../session/index.ts'
import { STATUS_BYTES } from '../../../wire/postgres/index.ts'
import { MeantSettings } from './meant-settings.ts'

/** Judgements are kept by what they are of: each text has one. */
function permit(text: string): Permitted {
  const count = text.split(';').length
  const facts = {
    class: /^(?:select|begin)/i.test(text) ? 'read' : 'administer',
    statements: Array.from({ length: count }, () => ({ class: 'read' })),
    calls: [],
  }
  return { command: { text }, judgement: { facts } } as unknown as Permitted
}

type Status = keyof typeof STATUS_BYTES
/** Commands that go out together, and how the server answers them. */
type Group = readonly [texts: string | readonly string[], status: Status, failed?: 'fails']

function after(...groups: readonly Group[]): string {
  const counts = { groupsSent: 0, groupsEnded: 0 }
  const settings = new MeantSettings(counts)
  for (const [texts, status, failed] of groups) {
    for (const text of [texts].flat()) settings.sent(permit(text))
    counts.groupsSent++
    counts.groupsEnded++
    settings.ready(STATUS_BYTES[status], failed === 'fails')
  }
  return settings.now
}

const NOTHING = after()
const SET = "SET DateStyle = 'ISO, DMY'"
const AFTER_SET = after([SET, 'idle'])

it('counts what was set, in or outside of a transaction', () => {
  expect(AFTER_SET).not.toBe(NOTHING)
  expect(after(['BEGIN', 'transaction'], [SET, 'transaction'], ['COMMIT', 'idle'])).toBe(AFTER_SET)
  expect(after(['BEGIN', 'transaction'], [SET, 'transaction'])).toBe(AFTER_SET)
})

it.each<[string, readonly Group[]]>([
  [
    'rolled back',
    [
      ['BEGIN', 'transaction'],
      [SET, 'transaction'],
      ['ROLLBACK', 'idle'],
    ],
  ],
  [
    'committed when the transaction had failed',
    [
      ['BEGIN', 'transaction'],
      [SET, 'transaction'],
      ['SELECT 1/0', 'failed', 'fails'],
      ['COMMIT', 'idle'],
    ],
  ],
  [
    'in a COMMIT that fails',
    [
      ['BEGIN', 'transaction'],
      [SET, 'transaction'],
      ['COMMIT', 'idle', 'fails'],
    ],
  ],
  ['in vain', [[SET, 'idle', 'fails']]],
  ['in a group that fails', [[[SET, 'SELECT 1/0'], 'idle', 'fails']]],
  [
    'in a failed transaction that goes on as another',
    [
      ['BEGIN', 'transaction'],
      [SET, 'transaction'],
      ['SELECT 1/0', 'failed', 'fails'],
      ['COMMIT AND CHAIN', 'transaction'],
      ['COMMIT', 'idle'],
    ],
  ],
])('does not count what was set and %s', (_how, groups) => {
  expect(after(...groups)).toBe(NOTHING)
})

it('keeps what COMMIT AND CHAIN has settled', () => {
  expect(
    after(
      ['BEGIN', 'transaction'],
      [SET, 'transaction'],
      ['COMMIT AND CHAIN', 'transaction'],
      ['ROLLBACK', 'idle'],
    ),
  ).toBe(AFTER_SET)
})

it('is not misled by a failure before', () => {
  const counts = { groupsSent: 0, groupsEnded: 0 }
  const settings = new MeantSettings(counts)
  for (const text of ['SELECT 1/0', SET]) {
    settings.sent(permit(text))
    counts.groupsSent++
  }
  for (const failed of [true, false]) {
    counts.groupsEnded++
    settings.ready(STATUS_BYTES.idle, failed)
  }
  expect(settings.now).toBe(AFTER_SET)
})

it.each<[string, readonly Group[]]>([
  [
    'a batch that ends one and begins another',
    [
      ['BEGIN', 'transaction'],
      [SET, 'transaction'],
      ['COMMIT; BEGIN', 'transaction'],
      ['ROLLBACK', 'idle'],
    ],
  ],
  [
    'a COMMIT and a failure behind it',
    [
      ['BEGIN', 'transaction'],
      [SET, 'transaction'],
      [['COMMIT', 'SELECT 1/0'], 'idle', 'fails'],
    ],
  ],
  ['a batch that fails', [[`${SET}; COMMIT; SELECT 1/0`, 'idle', 'fails']]],
])('is like no other session after %s', (_what, groups) => {
  expect([NOTHING, AFTER_SET]).not.toContain(after(...groups))
  expect(after(...groups)).not.toBe(after(...groups))
})

it('says what has to be waited for', () => {
  const settings = new MeantSettings({ groupsSent: 0, groupsEnded: 0 })
  const waits = ['BEGIN', 'COMMIT', 'ROLLBACK', 'SELECT 1', SET, 'COMMIT', 'ROLLBACK'].map((text) =>
    settings.sent(permit(text)),
  )
  expect(waits).toEqual([false, false, false, false, true, true, true])
})
