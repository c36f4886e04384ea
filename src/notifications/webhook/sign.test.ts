/** Held against the library of those who wrote the specification, in both directions. */
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { LIMITS, Secret } from '../../core/index.ts'
import { signed, verified } from './sign.ts'

const ONE = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const TWO = `whsec_${Buffer.alloc(24, 2).toString('base64')}`
const BODY = JSON.stringify({ type: 'approval.requested', text: 'h\u00e9llo \u{1f600}' })
const secrets = (...all: string[]) => all.map((each) => new Secret(each))

function oracle(secret: string, id: string, now: number, body: string): Record<string, string> {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, new Date(now), body),
  }
}

describe('what we sign', () => {
  it('is what others verify', () => {
    const headers = signed(secrets(ONE), 'msg_1', Date.now(), BODY)
    expect(new Webhook(ONE).verify(BODY, headers)).toEqual(JSON.parse(BODY))
    expect(() => new Webhook(TWO).verify(BODY, headers)).toThrow()
  })

  it('is verified with either secret while one replaces the other', () => {
    const headers = signed(secrets(ONE, TWO), 'msg_1', Date.now(), BODY)
    for (const secret of [ONE, TWO]) expect(new Webhook(secret).verify(BODY, headers)).toBeTruthy()
  })

  it('is the example of the specification', () => {
    const headers = signed(
      secrets('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'),
      'msg_p5jXN8AQM9LWM0D4loKWxJek',
      1614265330_000,
      '{"test": 2432232314}',
    )
    expect(headers['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
  })

  it.each([
    '',
    'secret',
    'whsec_',
    `whsec_${Buffer.alloc(23).toString('base64')}`,
    `whsec_${Buffer.alloc(65).toString('base64')}`,
  ])('takes no secret that is none: %s', (secret) => {
    expect(() => signed(secrets(secret), 'msg_1', 0, '')).toThrow(/none of Standard Webhooks/)
  })
})

describe('J-07: what others sign', () => {
  const now = Date.UTC(2026, 0, 1)
  const bytes = Buffer.from(BODY)
  const check = (
    headers: Record<string, string | string[] | undefined>,
    body: Uint8Array = bytes,
    at = now,
  ) => verified(secrets(ONE, TWO), headers, body, at)

  it('is taken under either secret, whatever other signatures stand beside it', () => {
    expect(check(oracle(ONE, 'msg_1', now, BODY))).toBe('msg_1')
    expect(check(oracle(TWO, 'msg-2', now, BODY))).toBe('msg-2')
    const both = oracle(ONE, 'msg_1', now, BODY)
    expect(check({ ...both, 'webhook-signature': `v1a,AAAA v1,AAAA ${both['webhook-signature']}` })).toBe(
      'msg_1',
    )
  })

  it.each([
    ['another body', {}, Buffer.from(`${BODY} `), now],
    ['another id', { 'webhook-id': 'msg_2' }, bytes, now],
    ['another time', { 'webhook-timestamp': String(now / 1000 + 1) }, bytes, now],
    ['a signature of another kind', { 'webhook-signature': 'v2,AAAA' }, bytes, now],
    ['no signature', { 'webhook-signature': '' }, bytes, now],
    ['an empty one', { 'webhook-signature': 'v1,' }, bytes, now],
    ['two of a header', { 'webhook-id': ['msg_1', 'msg_1'] }, bytes, now],
    ['no id', { 'webhook-id': undefined }, bytes, now],
    ['a time that is none', { 'webhook-timestamp': 'now' }, bytes, now],
    ['five minutes and a second later', {}, bytes, now + LIMITS.channelAnswerMs + 1_000],
    ['five minutes and a second before', {}, bytes, now - LIMITS.channelAnswerMs - 1_000],
  ])('is not taken with %s', (_what, headers, body, at) => {
    expect(() => check({ ...oracle(ONE, 'msg_1', now, BODY), ...headers }, body, at)).toThrow(/not signed/)
  })

  it('is not taken under a secret of somebody else, nor where the id could move the borders of what is signed', () => {
    const other = `whsec_${Buffer.alloc(32, 9).toString('base64')}`
    expect(() => check(oracle(other, 'msg_1', now, BODY))).toThrow(/not signed/)
    const [id, seconds] = ['a', String(now / 1000)]
    const moved = new Webhook(ONE).sign(`${id}.${seconds}`, new Date(now), BODY)
    expect(() =>
      check({ 'webhook-id': `${id}.${seconds}`, 'webhook-timestamp': seconds, 'webhook-signature': moved }),
    ).toThrow(/not signed/)
  })
})
