import { describe, expect, it } from 'vitest'
import type { ChannelBlock } from '../../config/channel-block.ts'
import { messageFor, secretRef } from '../../testing/approval-messages.ts'
import { fields } from '../../testing/slack-limits.ts'
import { cardOf, digestCard } from './card.ts'

const TEAMS: ChannelBlock = { kind: 'teams', name: 'teams', perMinute: 20, url: secretRef('https://x') }

function runsOf(json: string): { card: Readonly<Record<string, unknown>>; text: string } {
  const { attachments } = fields(JSON.parse(json))
  const [attachment] = attachments as unknown[]
  const card = fields(fields(attachment).content)
  const blocks = (card.body as unknown[]).map(fields)
  for (const { type } of blocks) expect(type).toBe('RichTextBlock')
  return {
    card,
    text: blocks
      .flatMap(({ inlines }) => (inlines as unknown[]).map((run) => String(fields(run).text)))
      .join(''),
  }
}

describe('a card for Teams', () => {
  it('has what is asked in runs without mark-up, and a link', () => {
    const json = cardOf(messageFor(TEAMS, { text: 'SELECT 1 -- [click](https://evil) **now**\u202e' }))
    const { card, text } = runsOf(json)
    expect(fields(JSON.parse(json))).toMatchObject({
      type: 'message',
      attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive' }],
    })
    expect(card).toMatchObject({
      type: 'AdaptiveCard',
      version: '1.4',
      actions: [{ type: 'Action.OpenUrl', url: 'https://sluice.example.com/approvals/T-7K2M9QXY' }],
    })
    expect(text).toContain('| SELECT 1 -- [click](https://evil) **now**\\u{202e}')
    expect(text).toContain('who: agent:support-agent for person:grace')
    expect(json).not.toContain('Action.Submit')
  })

  it.each(['a', '\u{1f600}', '"', '\u00e9', '\n'])(
    'J-04: stays within the size that Teams takes, and says what it leaves out: %j',
    (unit) => {
      const json = cardOf(messageFor(TEAMS, { text: unit.repeat(60_000) }))
      expect(Buffer.byteLength(json)).toBeLessThanOrEqual(28 * 1024)
      expect(runsOf(json).text).toMatch(/cut: [\d,]+ of [\d,]+ characters are shown\./)
    },
  )

  it('says what is worth a second look, and under what it would run', () => {
    const under = { database: 'crm', changes: ['role = app2'], moved: true }
    const { text } = runsOf(cardOf(messageFor(TEAMS, { under, warnings: ['changes every row'] })))
    expect(text).toContain('! changes every row')
    expect(text).toContain('database: crm\nsession: role = app2')
  })

  it('names many requests at once', () => {
    const digest = {
      tickets: [{ ticket: 'T-1', who: 'agent:a', connection: 'crm' }],
      more: 2,
      link: 'https://s/approvals',
    }
    const { text } = runsOf(digestCard(digest))
    expect(text).toContain('3 requests wait for approval')
    expect(text).toContain('and 2 more')
  })
})
