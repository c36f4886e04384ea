import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import type { Ticket } from '../../../core/index.ts'
import { brand } from '../../../core/index.ts'
import { httpConnection, HttpStage } from '../../../testing/http-stage.ts'
import { until } from '../../../testing/world.ts'

const stages: HttpStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

async function open(patience = '0s') {
  const stage = await HttpStage.open({
    connection: (port) => httpConnection(port).replace('patience: 30s', `patience: ${patience}`),
  })
  stages.push(stage)
  stage.json('POST /orders/1', { ok: true })
  const { secret } = await stage.world.mint('http', 'api')
  const base = `http://127.0.0.1:${stage.port}/c/api`
  const send = (fields: Record<string, string> = {}, body = '{"amount":7}', path = '/orders/1') =>
    atOnce(
      stage,
      fetch(base + path, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${secret.reveal()}`,
          'content-type': 'application/json',
          ...fields,
        },
        body,
      }),
    )
  const ask = (url: string, token = secret.reveal()) =>
    fetch(url, { headers: { authorization: `Bearer ${token}` } })
  return { stage, base, send, ask, token: secret.reveal() }
}

/** The clock of a stage stands still: what is over at once is over when it is looked at. */
async function atOnce<T>(stage: HttpStage, doing: Promise<T>): Promise<T> {
  let isDone = false
  const done = doing.finally(() => {
    isDone = true
  })
  await until('it is answered', () => {
    stage.world.clock.advance(0)
    return isDone
  })
  return await done
}

type Held = {
  readonly status: number
  readonly ticket: string
  readonly statusUrl: string
  readonly [name: string]: unknown
}

async function heldOf(response: Response): Promise<Held> {
  return (await response.json()) as Held
}

const ticketIn = ({ ticket }: Held): Ticket => brand<Ticket>(ticket)

describe('a held request', () => {
  it('is answered 428 once its patience is over, and runs once when it is sent again (P-05)', async () => {
    const { stage, send, ask, base } = await open()
    const response = await send()
    expect(response.status).toBe(428)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(response.headers.get('retry-after')).toBeNull()
    const held = await heldOf(response)
    expect(held).toMatchObject({
      type: 'urn:sluice:error:approval_pending',
      status: 428,
      detail: `Wait for approval of ${held.ticket}, then run the same command again.`,
      remedy: expect.stringContaining('Nothing runs by itself'),
      retry: 'unchanged-after-approval',
      request: expect.stringMatching(/\.1$/),
      policy: { version: expect.any(String), rules: ['agents ask before they write'] },
      statusUrl: `${base}/.sluice/tickets/${held.ticket}`,
    })
    expect(stage.asked).toEqual([])
    const waiting = await ask(held.statusUrl)
    expect(waiting.headers.get('retry-after')).toBe('2')
    expect(await waiting.json()).toMatchObject({ state: 'pending', next: { do: 'wait' }, retryAfter: 2 })
    await stage.world.answer(ticketIn(held), 'approve')
    // Long after, nothing has happened by itself.
    stage.world.clock.advance(10_000)
    expect(stage.asked).toEqual([])
    expect(await (await ask(held.statusUrl)).json()).toMatchObject({
      state: 'approved',
      next: { do: 'send' },
    })
    expect((await send()).status).toBe(200)
    expect(stage.asked).toHaveLength(1)
    expect(await (await ask(held.statusUrl)).json()).toMatchObject({ state: 'used', uses: 1 })
    const again = await heldOf(await send())
    expect(again).toMatchObject({ status: 428 })
    expect(again.ticket).not.toBe(held.ticket)
    expect(stage.asked).toHaveLength(1)
  })

  it('is answered 202 at once where its client asks for that, and joins its ticket without it (P-05)', async () => {
    const { stage, send, base } = await open('45s')
    const response = await send({ prefer: 'respond-async' })
    expect(response.status).toBe(202)
    expect(response.headers.get('preference-applied')).toBe('respond-async')
    expect(response.headers.get('retry-after')).toBe('2')
    const held = await heldOf(response)
    expect(response.headers.get('location')).toBe(`${base}/.sluice/tickets/${held.ticket}`)
    expect(held).toMatchObject({ status: 202, retry: 'unchanged-after-approval', ticket: expect.any(String) })
    await stage.world.answer(ticketIn(held), 'approve')
    stage.world.clock.advance(10_000)
    expect(stage.asked).toEqual([])
    expect((await send()).status).toBe(200)
    expect(stage.asked).toHaveLength(1)
  })

  it('waits no longer than its client says, and never longer than its connection', async () => {
    const { stage, send } = await open('45s')
    const reply = send({ prefer: 'wait=10, respond-async' })
    await until('it is held', () => stage.world.waiting().length === 1)
    stage.world.clock.advance(9_999)
    stage.world.clock.advance(1)
    const response = await reply
    expect([response.status, response.headers.get('preference-applied')]).toEqual([
      202,
      'respond-async, wait=10',
    ])
    const long = send({ prefer: 'wait=3000' }, '{}')
    await until('the other is held', () => stage.world.waiting().length === 2)
    stage.world.clock.advance(45_000)
    expect((await long).status).toBe(428)
  })

  it('is shown to curl in the same way', async () => {
    const { stage, base, token } = await open()
    const asking = promisify(execFile)('curl', [
      '-si',
      `-Hauthorization: Bearer ${token}`,
      '-Hprefer: respond-async',
      '--data',
      'a=b',
      `${base}/orders/1`,
    ])
    const { stdout } = await atOnce(stage, asking)
    expect(stdout).toMatch(/^HTTP\/1\.1 202 /)
    expect(stdout.toLowerCase()).toContain('preference-applied: respond-async')
  })

  it('with another body, field or target does not run by the approval of the first (P-05)', async () => {
    const { stage, send } = await open()
    const held = await heldOf(await send())
    await stage.world.answer(ticketIn(held), 'approve')
    for (const other of [
      send({}, '{"amount":8}'),
      send({}, '{"amount":7} '),
      send({ 'x-dry-run': 'no' }),
      send({ 'content-type': 'text/plain' }),
      send({ prefer: 'handling=lenient' }),
      send({}, '{"amount":7}', '/orders/1?force=1'),
    ]) {
      const answered = await heldOf(await other)
      expect(answered.status).toBe(428)
      expect(answered.ticket).not.toBe(held.ticket)
    }
    expect(stage.asked).toEqual([])
    expect((await send()).status).toBe(200)
  })

  it('of somebody else does not run by it, and its approval runs one of many at once (P-05)', async () => {
    const { stage, send } = await open()
    const held = await heldOf(await send())
    await stage.world.answer(ticketIn(held), 'approve')
    const other = await stage.world.credentials.mint({
      use: 'http',
      chain: [{ kind: 'agent', name: 'other', issuer: 'local', groups: ['agents'] }],
      connection: brand('api'),
      ttlMs: 600_000,
      mintedBy: 'test',
    })
    const foreign = await send({ authorization: `Bearer ${other.secret.reveal()}` })
    expect(foreign.status).toBe(428)
    const race = await Promise.all(Array.from({ length: 12 }, () => send()))
    const statuses = race.map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
    expect(statuses.every((status) => [200, 403, 428].includes(status))).toBe(true)
    expect(stage.asked).toHaveLength(1)
  })

  it('shows people its fields and its body, with secrets hidden', async () => {
    const { stage, send } = await open()
    const key = `ghp_${'a'.repeat(36)}`
    await send(
      { 'x-order-key': 'do not show', 'x-note': 'gift', 'user-agent': 'me' },
      JSON.stringify({
        amount: 7,
        password: 'hunter2',
        note: `use ${key}`,
        echo: 'upstream-canary-token',
      }),
    )
    const [approval] = stage.world.approvals.list()
    expect(approval?.under?.fields).toEqual([
      'content-type: application/json',
      'x-note: gift',
      'x-order-key: do not show',
    ])
    const [body = ''] = approval?.parameters ?? []
    expect(body).toContain('amount')
    for (const secret of ['hunter2', key, 'upstream-canary-token'])
      expect(JSON.stringify(approval)).not.toContain(secret)
    expect(body).toContain('[hidden, 7 characters]')
    expect(body).toContain('[vendor-token, 40 characters]')
    expect(approval?.warnings?.join()).toContain('it takes out what looks like: secret, vendor-token')
    const [intent] = stage.world.entries('intent')
    expect(intent?.head.outward).toEqual(['secret', 'vendor-token'])
  })

  it('hides fields that say who asks', async () => {
    const { stage, send } = await open()
    await send({ 'x-session-token': 'abcdefgh', 'x-api-key': '12345' })
    expect(stage.world.approvals.list()[0]?.under?.fields).toEqual([
      'content-type: application/json',
      'x-api-key: [hidden, 5 characters]',
      'x-session-token: [hidden, 8 characters]',
    ])
  })
})
