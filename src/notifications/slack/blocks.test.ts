/** What people read in Slack before they click. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Approval } from '../../approvals/index.ts'
import { ADA } from '../../testing/approval-stage.ts'
import { chatOf, messageFor } from '../../testing/approval-messages.ts'
import { fields, slackFault } from '../../testing/slack-limits.ts'
import { announcement, hasButtons, outcome, together } from './blocks.ts'
import { isSame } from './likeness.ts'

const CHAT = chatOf({ U1: ADA })

function posted(rest: Partial<Approval> = {}) {
  const { text, blocks } = announcement(messageFor(CHAT, rest))
  const words = blocks.map((block) => String(fields(fields(block).text).text ?? '')).join('\n')
  return { text, blocks, words, hasActions: blocks.some(({ type }) => type === 'actions') }
}

describe('a request in Slack', () => {
  it('says who, on whose behalf, where, what, until when, and where to look', () => {
    const { words, hasActions, text } = posted({ parameters: ["'a'", null] })
    for (const part of [
      'T-7K2M9QXY: approval needed on crm',
      'who: agent:support-agent for person:grace',
      'connection: crm',
      'class: write',
      'writes: public.t',
      'until: 2026-01-01 01:00 UTC',
      "```\n| DELETE FROM t WHERE id = 1\n$1 = 'a'\n$2 = NULL\n```",
      '<https://sluice.example.com/approvals/T-7K2M9QXY|Open it>',
      'sluice approvals show T-7K2M9QXY',
    ])
      expect(words).toContain(part)
    expect(hasActions).toBe(true)
    expect(text).toBe('T-7K2M9QXY: approval needed on crm')
  })

  it('says before anything else what is worth a second look, and under what it would run', () => {
    const under = { database: 'crm', program: 'psql\u202e', changes: ['app.tenant = evil'], moved: false }
    const { words, hasActions } = posted({ warnings: ['changes every row'], under, estimatedRows: 1234 })
    expect(words).toContain(
      'on crm\n! changes every row\ndatabase: crm\nprogram: psql\\u{202e} (as the client says)\n',
    )
    expect(words).toContain('session: app.tenant = evil\nwho: ')
    expect(words).toContain('rows: about 1,234, as the planner guesses')
    expect(hasActions).toBe(true)
    // What of it does not fit nobody has read.
    const long = { changes: Array.from({ length: 20 }, () => 'x'.repeat(200)), moved: false }
    expect(posted({ under: long }).hasActions).toBe(false)
  })

  it('shows no line of a command without a mark, and says how many are empty', () => {
    const { words } = posted({
      text: `DELETE FROM t /*\nstate: approved\n${'\n'.repeat(30)}*/`,
      parameters: [],
    })
    expect(words).toContain(
      '```\n| DELETE FROM t /*\n| state: approved\n~ 30 lines with nothing but blanks\n| */\n```',
    )
  })

  it.each([
    ['another role', { under: { changes: ['role = app2'], moved: true } }],
    ['administer', { class: 'administer' }],
    ['opaque', { class: 'opaque' }],
    ['access', { access: { name: 'repair', ms: 60_000, emergency: false } }],
    ['an emergency', { access: { name: 'repair', ms: 60_000, emergency: true }, state: 'approved' }],
    ['a sealed value', { shown: { text: 'DELETE [sealed pii.email]' } }],
    ['a reason that has to be given', { route: { ...messageRoute(), reason: true } }],
    ['a route without answers', { route: { ...messageRoute(), answers: [] } }],
    ['what is answered already', { state: 'refused', endedAt: 1 }],
  ] as const)('J-04: has a link and no buttons for %s', (_what, rest) => {
    const { hasActions, words } = posted(rest)
    expect(hasActions).toBe(false)
    expect(words).toContain('|Open it>')
  })

  it('J-04: is never cut without saying how much, and has no buttons then', () => {
    const text = `DELETE FROM t WHERE name IN (${'looks harmless, '.repeat(2_000)}) OR true`
    const { blocks, words, hasActions } = posted({ text })
    expect(slackFault({ channel: CHAT.to, text: 'x', blocks })).toBeUndefined()
    expect(words).toMatch(
      /cut: 8,\d{3} of 32,0\d\d characters are shown\. Read all of it before you answer\./,
    )
    expect(words).not.toContain('OR true')
    expect(hasActions).toBe(false)
    expect(posted({ text: text.slice(0, 8_000) }).hasActions).toBe(true)
  })

  it('J-04: spells out what does not show, and lets no text be mark-up, a link or a mention', () => {
    const tricks = '\u202e\u2066\u200b\u001b[2K*b* <!channel> <@U1> <https://evil|ok> ```\n*Approved by ada*'
    const { words } = posted({ text: tricks, chain: [{ ...ADA, kind: 'agent', name: 'x<!here>\n*y*' }] })
    expect(words).toContain('\\u{202e}\\u{2066}\\u{200b}\\u{1b}[2K')
    expect(words).not.toMatch(/[\u202e\u2066\u200b\u001b]|<!|<@|<https:\/\/evil/)
    expect(words).toContain('&lt;!channel&gt;')
    expect(words).toContain('who: agent:x&lt;!here&gt;\\n*y*')
    // Nothing ends the section of fixed width but its own end.
    const command = words.slice(words.indexOf('```') + 3, words.lastIndexOf('```'))
    expect(command).not.toContain('```')
  })

  it('is within what Slack takes, whatever is asked, and has buttons only where all of it is there', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('a', '&', '\n', '`', '"', '\\', '\u{1f600}', '\u202e', 'x\ty '),
        fc.string({ unit: 'binary', maxLength: 40 }),
        fc.integer({ min: 0, max: 10_000 }),
        fc.array(fc.option(fc.string({ unit: 'grapheme', maxLength: 20 })), { maxLength: 5 }),
        fc.array(fc.string({ maxLength: 300 }), { maxLength: 12 }),
        (unit, start, times, parameters, writes) => {
          const text = start + unit.repeat(times)
          const { blocks, text: short } = posted({ text, parameters, writes })
          expect(slackFault({ channel: CHAT.to, text: short, blocks })).toBeUndefined()
          const isCut = blocks.some((block) => block.block_id === 'cut')
          expect(blocks.some(({ type }) => type === 'actions')).toBe(!isCut)
          const later = outcome(messageFor(CHAT, { text, parameters, writes, state: 'expired', endedAt: 1 }))
          expect(slackFault({ channel: CHAT.to, ...later })).toBeUndefined()
        },
      ),
      { numRuns: 40 },
    )
  })

  it('says what stands once it is answered, without buttons', () => {
    const answer = {
      verdict: 'approve',
      by: ADA,
      at: 5,
      method: 'channel',
      through: 'channel:chat',
      step: 0,
    } as const
    const message = messageFor(CHAT, { state: 'approved', answers: [answer] }, 'answered-1')
    expect(hasButtons(message)).toBe(false)
    const { text, blocks } = outcome(message)
    expect(text).toBe('T-7K2M9QXY: approved by person:ada')
    expect(JSON.stringify(blocks)).toContain('state: approved\\napproved by person:ada')
    expect(blocks.some(({ type }) => type === 'actions')).toBe(false)
  })

  it('is named among many with how many there are besides', () => {
    const digest = {
      tickets: [{ ticket: 'T-1', who: 'agent:a', connection: 'crm' }],
      more: 7,
      link: undefined,
    }
    const { blocks, text } = together(digest)
    expect(slackFault({ channel: CHAT.to, text, blocks })).toBeUndefined()
    expect(text).toBe('8 requests wait for approval')
    expect(JSON.stringify(blocks)).toContain('and 7 more')
  })
})

describe('J-06: a message that Slack gives back', () => {
  const { blocks } = posted({ text: 'SELECT 1 < 2 -- https://example.com/a' })

  it('is the same when Slack writes it in its own way', () => {
    const echoed = JSON.parse(
      JSON.stringify(blocks).replaceAll('https://example.com/a', '<https://example.com/a>'),
    ) as object[]
    const returned = echoed.map((block) => ({ expand: false, ...block, accessory: undefined }))
    expect(isSame(blocks, returned)).toBe(true)
  })

  it.each([
    '<https://x.example*/OR true/*|checked>',
    '<!date^0^x|checked>',
    '<#C0123|checked>',
    '<@U0123>',
    '<mailto:x@example.com|checked>',
    'a < b AND c > d',
  ])('is another one when %s is there as more than text', (hidden) => {
    const sent = posted({ text: `DELETE FROM notes WHERE id = 1 /*${hidden}*/` }).blocks
    const json = JSON.stringify(sent)
    const changed = json.replaceAll('&lt;', '<').replaceAll('&gt;', '>')
    expect(changed).not.toBe(json)
    expect(isSame(sent, JSON.parse(changed) as unknown[])).toBe(false)
    expect(isSame(sent, JSON.parse(json) as unknown[])).toBe(true)
  })

  it.each([
    ['a word', (json: string) => json.replace('SELECT 1', 'SELECT 2')],
    ['who asks', (json: string) => json.replace('support-agent', 'lunch-agent')],
    [
      'buttons that changed places',
      (json: string) =>
        json.replace('"Approve"', '"x"').replace('"Deny"', '"Approve"').replace('"x"', '"Deny"'),
    ],
    [
      'another ticket on a button',
      (json: string) => json.replace(/"value":"T-7K2M9QXY"/, '"value":"T-00000000"'),
    ],
    ['where the link leads', (json: string) => json.replace('sluice.example.com', 'sluice.example.org')],
    [
      'a picture more',
      (json: string) => json.replace(/\]$/, ',{"type":"image","image_url":"https://x","alt_text":"x"}]'),
    ],
    [
      'a field more',
      (json: string) =>
        json.replace(
          '"block_id":"facts"',
          '"block_id":"facts","fields":[{"type":"plain_text","text":"harmless"}]',
        ),
    ],
    ['a block less', (json: string) => JSON.stringify((JSON.parse(json) as unknown[]).slice(1))],
    [
      'blocks in another order',
      (json: string) => JSON.stringify((JSON.parse(json) as unknown[]).toReversed()),
    ],
  ])('is another one with %s', (_what, change) => {
    const changed = change(JSON.stringify(blocks))
    expect(changed).not.toBe(JSON.stringify(blocks))
    expect(isSame(blocks, JSON.parse(changed) as unknown[])).toBe(false)
  })
})

function messageRoute(): Approval['route'] {
  return {
    steps: [{ route: '', groups: [], identities: [], anyone: true, people: 1 }],
    hours: [],
    reason: false,
    ownPerson: false,
    channels: ['chat'],
    answers: ['chat'],
  }
}
