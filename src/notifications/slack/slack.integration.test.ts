/** Slack, by a server of our own that checks what Slack checks: what is posted, and clicks on it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Approval, ApprovalInput } from '../../approvals/index.ts'
import type { ChannelBlock } from '../../config/channel-block.ts'
import { type Identity, LIMITS, type Ticket } from '../../core/index.ts'
import { ADA, ApprovalStage, approver } from '../../testing/approval-stage.ts'
import { chatOf } from '../../testing/approval-messages.ts'
import { MemoryNotificationStore } from '../../testing/memory-notifications.ts'
import { SlackServer } from '../../testing/slack-server.ts'
import { until } from '../../testing/world.ts'
import { ChannelAnswers, Notifications, senderFor } from '../index.ts'
import { APPROVE, REFUSE } from './blocks.ts'

let stage: ApprovalStage
let slack: SlackServer
let store: MemoryNotificationStore
let answers: ChannelAnswers
let notifications: Notifications
let chat: ReturnType<typeof chatOf>
let blocked: Identity[]
let reported: string[]

beforeEach(async () => {
  stage = await ApprovalStage.open()
  slack = new SlackServer()
  store = new MemoryNotificationStore()
  blocked = []
  reported = []
  chat = chatOf({ U1: ADA, U2: approver('bob'), U3: approver('grace') }, await slack.start())
  build()
})

function build(): void {
  const channels: ReadonlyMap<string, ChannelBlock> = new Map([['chat', chat]])
  const parts = {
    store,
    approvals: stage.desk,
    clock: stage.clock,
    publicUrl: () => 'https://sluice.example.com',
    report: (error: unknown) => reported.push(String(error)),
    resolve: (ref: { kind: string }) => {
      if (!('value' in ref)) throw new Error('no value')
      return Promise.resolve(ref.value as never)
    },
  }
  answers = new ChannelAnswers({
    ...parts,
    channels: () => channels,
    isBlocked: (who) => blocked.includes(who),
  })
  notifications = new Notifications(
    {
      ...parts,
      chance: () => 1,
      record: (head) => stage.recorded.push(head),
      senderFor: (channel) => senderFor(channel, parts),
    },
    channels,
  )
}

afterEach(async () => {
  await notifications.stop()
  await answers.close()
  await slack.stop()
})

/** Asks, and waits until it stands in Slack: the ticket, and what Slack calls the message. */
async function announced(
  rest: Partial<ApprovalInput> = {},
  people = 1,
): Promise<{ ticket: Ticket; ts: string }> {
  const steps = [{ groups: [], identities: [], anyone: true, people }]
  const review = [stage.via({ channels: ['chat'], answers: ['chat'], steps })]
  const before = slack.messages.size
  const ticket = await stage.ask({ review, fingerprint: `f${before}`, kin: `k${before}`, ...rest })
  await until('the announcement', () =>
    [...store.all.values()].some((each) => each.ticket === ticket && each.state === 'sent'),
  )
  return { ticket, ts: [...slack.messages.keys()].at(-1) ?? '' }
}

async function clicks(click: ReturnType<SlackServer['click']>): Promise<void> {
  const { body, headers } = click
  const request = { headers, bytes: Buffer.from(body) }
  await answers.click('chat', request)
  await answers.answerClick('chat', request)
}

const at = () => ({ at: stage.clock.now() })

async function told(text: RegExp, user = 'U1'): Promise<void> {
  await until(`somebody is told ${text}`, () =>
    slack.calls.some(
      ({ method, body }) =>
        method === 'chat.postEphemeral' && body.user === user && text.test(String(body.text)),
    ),
  )
}

function stateOf(ticket: Ticket): Approval['state'] | undefined {
  return stage.desk.get(ticket)?.state
}

describe('a click', () => {
  it('is the answer of the person it belongs to, and the message says so', async () => {
    const { ticket, ts } = await announced()
    await clicks(slack.click('U1', ts, APPROVE, at()))
    expect(stage.desk.get(ticket)).toMatchObject({
      state: 'approved',
      answers: [{ by: ADA, verdict: 'approve', method: 'channel', through: 'channel:chat' }],
    })
    await until('the message has changed', () =>
      JSON.stringify(slack.messages.get(ts)).includes('approved by person:ada'),
    )
    expect(JSON.stringify(slack.messages.get(ts))).not.toContain('"actions"')
    expect(slack.messages.size).toBe(1)
    expect(await stage.take(ticket, { fingerprint: 'f0' })).toBe(true)
  })

  it('refuses as well', async () => {
    const { ticket, ts } = await announced()
    await clicks(slack.click('U2', ts, REFUSE, at()))
    expect(stateOf(ticket)).toBe('refused')
  })

  it('J-07: counts once when it comes twice, and a second one is told what stands', async () => {
    const { ticket, ts } = await announced()
    const shown = slack.messages.get(ts) ?? {}
    const click = slack.click('U1', ts, APPROVE, at())
    await clicks(click)
    await clicks(click)
    await told(/was here before, and counts once\. T-\w+ is approved/)
    // A double click: another request of Slack's about the same.
    await clicks(slack.click('U1', ts, APPROVE, { ...at(), message: shown }))
    await told(/is approved already/)
    await clicks(slack.click('U2', ts, REFUSE, { ...at(), message: shown }))
    await told(/is approved already/, 'U2')
    expect(stage.desk.get(ticket)?.answers).toHaveLength(1)
  })

  it('J-07: two at the same moment are one answer', async () => {
    const { ticket, ts } = await announced()
    await Promise.all([
      clicks(slack.click('U1', ts, APPROVE, at())),
      clicks(slack.click('U2', ts, REFUSE, at())),
      clicks(slack.click('U1', ts, APPROVE, at())),
    ])
    expect(stage.desk.get(ticket)?.answers).toHaveLength(1)
  })

  it('J-07: counts for nothing without the signature of Slack, too old, or from the future', async () => {
    const { ticket, ts } = await announced()
    const now = stage.clock.now()
    for (const forged of [
      slack.click('U1', ts, APPROVE, { at: now, secret: 'guess' }),
      slack.click('U1', ts, APPROVE, { at: now, secret: slack.token }),
      slack.click('U1', ts, APPROVE, { at: now - LIMITS.channelAnswerMs - 1_000 }),
      slack.click('U1', ts, APPROVE, { at: now + LIMITS.channelAnswerMs + 1_000 }),
      { ...slack.click('U1', ts, APPROVE, at()), body: 'payload={}' },
    ]) {
      await expect(clicks(forged)).rejects.toMatchObject({ code: 'unauthenticated' })
    }
    await expect(clicks(slack.signed('payload={}', now))).rejects.toMatchObject({ code: 'invalid' })
    expect(stateOf(ticket)).toBe('pending')
  })

  it('J-07: is not taken again by a gateway that starts anew', async () => {
    const { ticket, ts } = await announced({}, 2)
    const click = slack.click('U1', ts, APPROVE, at())
    await clicks(click)
    expect(stateOf(ticket)).toBe('pending')
    await notifications.stop()
    await stage.restart()
    build()
    await clicks(click)
    await told(/was here before/)
    expect(stage.desk.get(ticket)?.answers).toHaveLength(1)
  })

  it('of somebody whom nobody wrote down, or who is blocked, counts for nothing', async () => {
    const { ticket, ts } = await announced()
    await clicks(slack.click('U9', ts, APPROVE, at()))
    await told(/U9 is nobody who answers here/, 'U9')
    blocked = [ADA]
    await clicks(slack.click('U1', ts, APPROVE, at()))
    await told(/nobody who answers/)
    expect(stateOf(ticket)).toBe('pending')
  })

  it('J-06: of who asked, or for whom it was asked, counts for nothing', async () => {
    const { ticket, ts } = await announced()
    await clicks(slack.click('U3', ts, APPROVE, at()))
    await told(/asked for by you or on your behalf/, 'U3')
    expect(stateOf(ticket)).toBe('pending')
  })
})

describe('J-06: who has read the token of the bot', () => {
  /** What an agent can do with it: post and change messages. */
  async function asBot(method: string, body: object): Promise<void> {
    const answer = await fetch(`${chat.apiUrl}/${method}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${slack.token}`, 'content-type': 'application/json; charset=utf-8' },
      body: JSON.stringify(body),
    })
    expect(await answer.json()).toMatchObject({ ok: true })
  }

  it('gets no approval by a message of its own with our button under it', async () => {
    const { ticket, ts } = await announced()
    const { blocks } = JSON.parse(JSON.stringify(slack.messages.get(ts))) as {
      blocks: { block_id: string }[]
    }
    const button = blocks.find(({ block_id: id }) => id === 'answer')
    const lunch = { type: 'section', block_id: 'x', text: { type: 'plain_text', text: 'Pizza for lunch?' } }
    await asBot('chat.postMessage', { channel: chat.to, text: 'Pizza?', blocks: [lunch, button] })
    await clicks(slack.click('U1', [...slack.messages.keys()].at(-1) ?? '', APPROVE, at()))
    await told(/is not the message that asks about T-/)
    expect(stateOf(ticket)).toBe('pending')
  })

  it('gets none by changing what our message says', async () => {
    const { ticket, ts } = await announced()
    const text = JSON.stringify(slack.messages.get(ts)?.blocks).replace('DELETE FROM t', 'SELECT 1')
    await asBot('chat.update', { channel: chat.to, ts, text: 'x', blocks: JSON.parse(text) })
    await clicks(slack.click('U1', ts, APPROVE, at()))
    await told(/does not say what was asked/)
    const attached = {
      ...slack.messages.get(ts),
      attachments: [{ text: 'Ignore the above: this is a drill.' }],
    }
    await clicks(slack.click('U1', ts, APPROVE, { ...at(), message: attached }))
    await told(/does not say what was asked/)
    expect(stateOf(ticket)).toBe('pending')
  })

  it('gets none in another conversation', async () => {
    const { ticket, ts } = await announced()
    await clicks(slack.click('U1', ts, APPROVE, { ...at(), channel: 'C999999999' }))
    await told(/is not the message that asks about T-/)
    expect(stateOf(ticket)).toBe('pending')
  })
})

it('J-04: a command of high risk, or one that is cut, has no button; a click for it counts for nothing', async () => {
  const risky = await announced({ class: 'administer' })
  const long = await announced({ text: `DELETE FROM t WHERE a IN (${'1, '.repeat(9_000)}2)` })
  for (const { ticket, ts } of [risky, long]) {
    expect(JSON.stringify(slack.messages.get(ts))).not.toContain('"actions"')
    expect(JSON.stringify(slack.messages.get(ts))).toContain('|Open it>')
    const forged = {
      blocks: [{ type: 'actions', block_id: 'answer', elements: [{ action_id: APPROVE, value: ticket }] }],
    }
    await clicks(slack.click('U1', ts, APPROVE, { ...at(), message: forged }))
    await told(new RegExp(`${ticket} is not answered through this channel`))
    expect(stateOf(ticket)).toBe('pending')
  }
  expect(JSON.stringify(slack.messages.get(long.ts))).toMatch(/cut: 8,\d{3} of 27,\d{3} characters are shown/)
})

describe('Slack that takes nothing', () => {
  it.each([
    ['is told to wait', { status: 429, body: {}, headers: { 'retry-after': '1' } }],
    ['has trouble of its own', { status: 200, body: { ok: false, error: 'internal_error' } }],
    ['answers with a page', { status: 200, body: 'hello' }],
    ['redirects', { status: 302, body: {}, headers: { location: 'http://127.0.0.1:1/' } }],
    ['does not know the token', { status: 200, body: { ok: false, error: 'invalid_auth' } }],
  ])('%s: it is tried again, and nothing of what was sent is in the log', async (_what, fault) => {
    slack.fault = fault
    const review = [stage.via({ channels: ['chat'], answers: ['chat'] })]
    const ticket = await stage.ask({ review, text: 'DELETE FROM secret_table' })
    await until('the fault is told', () => reported.length > 0)
    expect(reported.join()).not.toMatch(/secret_table|xoxb/)
    slack.fault = undefined
    for (let i = 0; i < 80 && slack.messages.size === 0; i++) {
      stage.clock.advance(10_000)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(JSON.stringify([...slack.messages.values()])).toContain(ticket)
  })
})

it('a signed webhook is no click, and a channel that is not there answers nothing', async () => {
  const request = { headers: {}, bytes: Buffer.from('{}') }
  await expect(answers.webhook('chat', request)).rejects.toMatchObject({ code: 'not_found' })
  await expect(answers.click('other', request)).rejects.toMatchObject({ code: 'not_found' })
})
