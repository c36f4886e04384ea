/** What channels are told, how often, and what happens when they do not listen. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { ApprovalInput } from '../approvals/index.ts'
import type { ChannelBlock } from '../config/channel-block.ts'
import type { AdminHead } from '../core/index.ts'
import { LIMITS, Secret } from '../core/index.ts'
import { ADA, ApprovalStage, approver } from '../testing/approval-stage.ts'
import { MemoryNotificationStore } from '../testing/memory-notifications.ts'
import type { Digest, Message } from './message.ts'
import { Notifications } from './notifications.ts'
import { refused, type Sender, undelivered } from './sender.ts'

let stage: ApprovalStage
let store: MemoryNotificationStore
let recorded: AdminHead[]
let reported: string[]
/** What each channel got, and what it does with it. */
let got: { channel: string; message: Message; earlier: string | undefined }[]
let digests: Digest[]
let fails: (message?: Message) => Error | undefined
let running: Notifications[]

const secret = { kind: 'literal', value: new Secret('x') } as const
const hook: ChannelBlock = {
  kind: 'webhook',
  name: 'hook',
  perMinute: 600,
  url: 'https://hook.example.com',
  secrets: [secret],
  ca: undefined,
  answers: undefined,
}
const mail: ChannelBlock = {
  kind: 'email',
  name: 'mail',
  perMinute: 4,
  host: 'mail.example.com',
  port: 587,
  tls: 'starttls',
  ca: undefined,
  login: undefined,
  from: 'sluice@example.com',
  to: ['ada@example.com'],
}
const chat: ChannelBlock = {
  kind: 'slack',
  name: 'chat',
  perMinute: 600,
  apiUrl: 'https://slack.com/api',
  token: secret,
  to: 'C1',
  answers: undefined,
}

function mapOf(...channels: ChannelBlock[]): ReadonlyMap<string, ChannelBlock> {
  return new Map(channels.map((channel) => [channel.name, channel]))
}

function senderOf({ name, kind }: ChannelBlock): Sender {
  return {
    send: (message, earlier) => {
      const fault = fails(message)
      if (fault !== undefined) return Promise.reject(fault)
      got.push({ channel: name, message, earlier })
      return Promise.resolve({ ref: `${name} ${got.length}` })
    },
    ...(kind === 'webhook'
      ? {}
      : {
          digest: (digest: Digest) => {
            const fault = fails()
            if (fault !== undefined) return Promise.reject(fault)
            digests.push(digest)
            return Promise.resolve()
          },
        }),
    close: () => Promise.resolve(),
  }
}

/** A node that has the channels. */
function start(channels: ReadonlyMap<string, ChannelBlock>): Notifications {
  const node = new Notifications(
    {
      store,
      approvals: stage.desk,
      clock: stage.clock,
      chance: () => 1,
      publicUrl: () => 'https://sluice.example.com',
      record: (head) => recorded.push(head),
      report: (error) => reported.push(String(error)),
      senderFor: senderOf,
    },
    channels,
  )
  running.push(node)
  return node
}

beforeEach(async () => {
  stage = await ApprovalStage.open()
  store = new MemoryNotificationStore()
  recorded = []
  reported = []
  got = []
  digests = []
  fails = () => undefined
  running = []
})

async function settle(): Promise<void> {
  for (let i = 0; i < 40; i++) await stage.settled()
}

async function wait(ms: number): Promise<void> {
  // In steps, so that what one timer begins can set the next.
  for (let left = ms; left > 0; left -= 1_000) {
    stage.clock.advance(Math.min(left, 1_000))
    for (let i = 0; i < 6; i++) await stage.settled()
  }
}

const service = (name: string) => ({ ...approver(name), kind: 'service' as const })

let asked = 0
function ask(channels: readonly string[], rest: Partial<ApprovalInput> = {}, route = {}) {
  asked++
  return stage.ask({
    fingerprint: `f ${asked}`,
    kin: `k ${asked}`,
    review: [stage.via({ channels, ...route })],
    ...rest,
  })
}

const told = (channel: string) =>
  got
    .filter((each) => each.channel === channel)
    .map(({ message }) => `${message.event.key} ${message.ticket}`)

describe('a channel', () => {
  it('is told of what its routes say, each event once, with the same id whoever tells it', async () => {
    start(mapOf(hook, mail))
    const ticket = await ask(['hook', 'mail'])
    await ask(['nowhere'])
    await stage.ask({ fingerprint: 'default' })
    await settle()
    expect(told('hook')).toEqual([`requested ${ticket}`])
    expect(told('mail')).toEqual([`requested ${ticket}`])
    await stage.answer(ticket, 'approve', ADA)
    await settle()
    await stage.take(ticket, { fingerprint: stage.desk.get(ticket)?.fingerprint ?? '' })
    await settle()
    expect(told('hook')).toEqual([`requested ${ticket}`, `answered-1 ${ticket}`, `used ${ticket}`])
    expect(told('mail')).toEqual([`requested ${ticket}`])
    const ids = got.map(({ message }) => message.id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of ids) expect(id).toMatch(/^msg_[A-Za-z0-9_-]{26}$/)
  })

  it('is told of every emergency, whatever routes say', async () => {
    start(mapOf(hook, mail, chat))
    const proof = { chain: [ADA], at: stage.clock.now(), method: 'code' } as const
    const access = { name: 'repair', ms: 60_000, emergency: true }
    await stage.desk.breakGlass(stage.command({ chain: [ADA], access }), { proof, reason: 'it burns' })
    await settle()
    for (const name of ['hook', 'mail', 'chat'])
      expect(told(name)).toEqual([expect.stringContaining('emergency T-')])
    expect(got[0]?.message.access).toEqual(access)
  })

  it('is told who may answer now, and every end', async () => {
    start(mapOf(hook))
    const escalation = { afterMs: 60_000, groups: ['leads'], identities: [] }
    const ticket = await ask(['hook'], {}, { escalation })
    await settle()
    await wait(61_000)
    await wait(LIMITS.ticketMs)
    expect(told('hook')).toEqual([`requested ${ticket}`, `escalated ${ticket}`, `expired ${ticket}`])
    const other = await ask(['hook'])
    await stage.desk.supersede(() => false)
    await settle()
    expect(told('hook').slice(3)).toEqual([`requested ${other}`, `superseded ${other}`])
  })

  it('gets what everybody may read, with what does not show spelled out, and the link (P-02)', async () => {
    start(mapOf(hook))
    await ask(['hook'], {
      text: "UPDATE c SET email = 'ada@example.com'",
      parameters: ['secret-7'],
      shown: { text: 'UPDATE c SET email = [sealed pii.email]\u202e', parameters: ['[sealed pii.email]'] },
    })
    await settle()
    const [{ message } = { message: undefined }] = got
    expect(message).toMatchObject({
      text: 'UPDATE c SET email = [sealed pii.email]\\u{202e}',
      parameters: ['[sealed pii.email]'],
      isSealed: true,
      who: 'agent:support-agent for person:grace',
    })
    expect(message?.link).toBe(`https://sluice.example.com/approvals/${message?.ticket}`)
    expect(JSON.stringify([got, [...store.all.values()]])).not.toMatch(/ada@example|secret-7/)
  })
})

describe('nothing is lost', () => {
  it('what was asked while no node was there is told when one starts; what ended long ago is not', async () => {
    const old = await ask(['hook'])
    await stage.answer(old, 'refuse', ADA)
    await wait(LIMITS.notificationPastMs + 1)
    const ended = await ask(['hook'])
    await stage.answer(ended, 'refuse', ADA)
    const open = await ask(['hook'])
    await stage.restart()
    start(mapOf(hook))
    await settle()
    expect(told('hook').toSorted()).toEqual(
      [`requested ${ended}`, `answered-1 ${ended}`, `requested ${open}`].toSorted(),
    )
  })

  it('a message that was under way when its node died is sent again by another, under the same id', async () => {
    const dead = start(mapOf(hook))
    fails = () => undefined
    const end = store.end.bind(store)
    store.end = () => new Promise(() => {})
    const ticket = await ask(['hook'])
    await settle()
    expect(told('hook')).toEqual([`requested ${ticket}`])
    store.end = end
    await stage.restart()
    start(mapOf(hook))
    await settle()
    expect(got).toHaveLength(1)
    await wait(LIMITS.notificationLeaseMs + LIMITS.notificationLookMs)
    expect(told('hook')).toEqual([`requested ${ticket}`, `requested ${ticket}`])
    expect(got[0]?.message.id).toBe(got[1]?.message.id)
    expect(dead.figures).toHaveLength(1)
  })

  it('two nodes tell everything once', async () => {
    start(mapOf(hook, chat))
    start(mapOf(hook, chat))
    const tickets = []
    for (let i = 0; i < 20; i++) tickets.push(await ask(['hook', 'chat']))
    await settle()
    await wait(3 * LIMITS.notificationLookMs)
    expect(told('hook').toSorted()).toEqual(tickets.map((ticket) => `requested ${ticket}`).toSorted())
    expect(told('chat')).toHaveLength(20)
  })

  it('a store that is away is asked again, and everything is told then', async () => {
    const add = store.add.bind(store)
    store.add = () => Promise.reject(new Error('away'))
    start(mapOf(hook))
    const ticket = await ask(['hook'])
    await settle()
    expect(got).toEqual([])
    store.add = add
    await wait(LIMITS.notificationLookMs + 1)
    await settle()
    expect(told('hook')).toEqual([`requested ${ticket}`])
  })
})

describe('a channel that fails', () => {
  it('is tried again later and later, and told once it is back; the log hears of it once', async () => {
    let attempts = 0
    fails = () => {
      attempts++
      return undelivered('hook.example.com answered 503.')
    }
    const node = start(mapOf(hook))
    const ticket = await ask(['hook'])
    await ask(['hook'])
    await settle()
    expect(attempts).toBe(1)
    await wait(16_000)
    // After 1, 2, 4 and 8 seconds: for the channel, not for each of what waits there.
    expect(attempts).toBe(5)
    expect(reported).toHaveLength(1)
    expect(node.figures).toMatchObject([
      { name: 'hook', sent: 0, failures: 5, fault: 'hook.example.com answered 503.' },
    ])
    fails = () => undefined
    await wait(LIMITS.notificationRetryMsMax)
    expect(told('hook')).toContain(`requested ${ticket}`)
    expect(got).toHaveLength(2)
    expect(node.figures).toMatchObject([{ sent: 2, fault: undefined, waiting: 0 }])
  })

  it('waits as long as it was asked to', async () => {
    let attempts = 0
    fails = () => {
      attempts++
      return undelivered('later', { retryAfterMs: 60_000 })
    }
    start(mapOf(hook))
    await ask(['hook'])
    await settle()
    await wait(59_000)
    expect(attempts).toBe(1)
    await wait(2_000)
    expect(attempts).toBe(2)
  })

  it('on one message keeps nobody else waiting, and tries that one again later and later', async () => {
    let poisoned = 0
    fails = (message) => {
      if (message?.text.includes('POISON') !== true) return undefined
      poisoned++
      return undelivered('hook.example.com answered 500.')
    }
    start(mapOf(hook))
    const flood = { chain: [service('flood')] as const, text: 'SELECT 1 /* POISON */' }
    for (let i = 0; i < 30; i++) await ask(['hook'], flood)
    await settle()
    await wait(60_000)
    const before = poisoned
    // After 1, 2, 4, 8, 16 and 32 seconds: whatever is asked for by the same one waits with it.
    expect(before).toBeLessThanOrEqual(7)
    const innocent = await ask(['hook'], { chain: [service('other')] })
    await settle()
    expect(told('hook')).toEqual([`requested ${innocent}`])
    await wait(LIMITS.notificationRetryMsMax)
    expect(poisoned).toBeGreaterThan(before)
    // Delays are whole numbers: a store may keep nothing else.
    for (const { dueAt } of store.all.values()) expect(Number.isInteger(dueAt)).toBe(true)
  })

  it('on one message of somebody gets the other messages of the same one first', async () => {
    fails = (message) => (message?.text.includes('POISON') === true ? undelivered('500') : undefined)
    start(mapOf(hook))
    await ask(['hook'], { text: 'SELECT 1 /* POISON */' })
    const next = await ask(['hook'])
    await settle()
    await wait(2_000)
    expect(told('hook')).toEqual([`requested ${next}`])
  })

  it('that takes one message not is given the next, and the one again every ten minutes', async () => {
    let attempts = 0
    fails = () => (++attempts === 1 ? refused('400', 'look') : undefined)
    start(mapOf(hook))
    const first = await ask(['hook'])
    const second = await ask(['hook'])
    await settle()
    expect(told('hook')).toEqual([`requested ${second}`])
    await wait(LIMITS.notificationParkedMs + LIMITS.notificationLookMs)
    expect(told('hook')).toContain(`requested ${first}`)
  })

  it('after a day is given up, which the recording says', async () => {
    fails = () => undelivered('away')
    const node = start(mapOf(hook))
    const ticket = await ask(['hook'])
    await settle()
    // In long steps: each attempt is a timer.
    for (let i = 0; i < 320; i++) {
      stage.clock.advance(LIMITS.notificationRetryMsMax)
      for (let k = 0; k < 4; k++) await stage.settled()
    }
    const lost = recorded.filter(({ action }) => action === 'notification.undelivered')
    expect(lost[0]).toMatchObject({ target: ticket, details: { channel: 'hook', event: 'requested' } })
    expect(node.figures[0]?.undelivered).toBe(lost.length)
    expect(await store.waiting('hook')).toBe(0)
  })

  it('calls nobody to what is not waiting any more, and says that it never did', async () => {
    fails = () => undelivered('away')
    start(mapOf(mail))
    const ticket = await ask(['mail'])
    await settle()
    await stage.answer(ticket, 'refuse', ADA)
    fails = () => undefined
    await wait(LIMITS.notificationLookMs * 2)
    expect(got).toEqual([])
    expect(recorded).toMatchObject([{ action: 'notification.undelivered', target: ticket }])
  })
})

describe('J-01: a flood', () => {
  it('is told as single messages as far as the channel lets, then as one that counts the rest', async () => {
    start(mapOf(mail))
    const tickets = []
    for (let i = 0; i < 40; i++)
      tickets.push(await ask(['mail'], { chain: [{ ...approver(`p${i}`), kind: 'service' }] }))
    await settle()
    expect(told('mail')).toHaveLength(4)
    await wait(14_000)
    expect(digests).toHaveLength(0)
    await wait(2_000)
    expect(told('mail')).toHaveLength(4)
    expect(digests).toHaveLength(1)
    expect(digests[0]?.tickets).toHaveLength(LIMITS.digestTicketsMax)
    expect(digests[0]?.more).toBe(40 - 4 - LIMITS.digestTicketsMax)
    await wait(15_000)
    expect(digests).toHaveLength(2)
    expect(digests[1]?.more).toBe(0)
    expect(await store.waiting('mail')).toBe(0)
    // Each is named once, in a message of its own or among others.
    const named = [...got.map(({ message }) => message), ...digests.flatMap((each) => each.tickets)]
    expect(named.map(({ ticket }) => ticket).sort()).toEqual(tickets.sort())
  })

  it('hides nobody else: who asks takes turns, in single messages and where many are told together', async () => {
    start(mapOf(mail, { ...hook, perMinute: 6 }))
    for (let i = 0; i < 45; i++) await ask(['mail', 'hook'], { chain: [service('flood')] })
    await settle()
    const other = await ask(['mail', 'hook'], { chain: [service('other')] })
    await wait(16_000)
    expect(digests[0]?.tickets.map(({ ticket }) => ticket)).toContain(other)
    expect(told('hook').slice(0, 8)).toContain(`requested ${other}`)
    const late = await ask(['mail', 'hook'], { chain: [service('other')] })
    await wait(16_000)
    expect(
      [...told('mail'), ...digests.flatMap((each) => each.tickets.map(({ ticket }) => ticket))].join(),
    ).toContain(late)
  })

  it('keeps no emergency waiting, and there is always room for one', async () => {
    const waiting = store.waiting.bind(store)
    start(mapOf({ ...hook, perMinute: 6 }))
    for (let i = 0; i < 20; i++) await ask(['hook'], { chain: [service('flood')] })
    await settle()
    store.waiting = () => Promise.resolve(LIMITS.notificationsWaitingMax)
    const proof = { chain: [ADA], at: stage.clock.now(), method: 'code' } as const
    const access = { name: 'repair', ms: 60_000, emergency: true }
    await stage.desk.breakGlass(stage.command({ chain: [ADA], access }), { proof, reason: 'it burns' })
    await wait(11_000)
    expect(told('hook').at(-1)).toMatch(/^emergency /)
    store.waiting = waiting
  })

  it('paces a system, which is told each', async () => {
    start(mapOf({ ...hook, perMinute: 60 }))
    for (let i = 0; i < 90; i++) await ask(['hook'], { chain: [{ ...approver(`p${i}`), kind: 'service' }] })
    await settle()
    await settle()
    await settle()
    await settle()
    expect(got.length).toBeLessThanOrEqual(61)
    await wait(40_000)
    expect(got).toHaveLength(90)
    expect(digests).toEqual([])
  })

  it('fills no store: beyond its bound a channel is told nothing more, and that is said', async () => {
    const waiting = store.waiting.bind(store)
    store.waiting = (name) => Promise.resolve(name === 'hook' ? LIMITS.notificationsWaitingMax : 0)
    start(mapOf(hook, chat))
    const ticket = await ask(['hook', 'chat'])
    await settle()
    expect(told('chat')).toEqual([`requested ${ticket}`])
    expect(got).toHaveLength(1)
    expect(recorded).toMatchObject([
      { action: 'notification.undelivered', details: { channel: 'hook', attempts: 0 } },
    ])
    store.waiting = waiting
  })
})

it('changes what stands in a chat, where it announced it', async () => {
  start(mapOf(chat))
  const ticket = await ask(['chat'])
  await settle()
  await stage.answer(ticket, 'approve', ADA)
  await settle()
  expect(got.map(({ message, earlier }) => [message.event.name, earlier])).toEqual([
    ['requested', undefined],
    ['answered', 'chat 1'],
  ])
})

it('another configuration is followed, and what the channels did is still known', async () => {
  const node = start(mapOf(hook))
  await ask(['hook'])
  await settle()
  node.adopt(mapOf(hook, mail))
  await ask(['mail'])
  await settle()
  expect(told('mail')).toHaveLength(1)
  expect(node.figures).toMatchObject([
    { name: 'hook', sent: 1 },
    { name: 'mail', sent: 1 },
  ])
  await node.stop()
  await ask(['mail'])
  await settle()
  expect(told('mail')).toHaveLength(1)
})
