/** A client of server-sent events, which can show its key in the address only (acceptance 1). */
import { EventSource } from 'eventsource'
import { beforeAll, describe, expect, test } from 'vitest'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import type { Stage } from './apis/stage.ts'
import { REAL_KEY, startStage } from './apis/stage.ts'

const CONNECTION = `upstream: { url: "http://127.0.0.1:PORT", bearer: KEY }
client:
  slots: [{ kind: query, name: access_token }]
routes:
  - { method: GET, path: "/streams/{topic}" }
  - { method: GET, path: /exports/stream, class: write }
  - { method: GET, path: /secrets/stream, class: administer }
labels:
  "/streams/{topic}: email": pii.email
  "/exports/stream: email": pii.email
`

const EVENTS = Array.from({ length: 4 }, (_, i) => ({ id: i + 1, email: `reader${i + 1}@customers.example` }))

describe('a client of server-sent events', () => {
  const later = teardown()
  let stage: Stage

  beforeAll(async () => {
    stage = await startStage({
      authorization: `Bearer ${REAL_KEY}`,
      connection: CONNECTION,
      async answer({ headers }, response) {
        response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
        const from = Number(headers['last-event-id'] ?? '0')
        response.write(': hello\nretry: 20\n\n')
        for (const each of EVENTS.slice(from)) {
          response.write(`event: reading\nid: ${each.id}\ndata: ${JSON.stringify(each)}\n\n`)
          // Each has to be with the client before there is another.
          await eventually('the event at the client', () =>
            stage.tap.toClients().includes(`id: ${each.id}\n`),
          )
          // The second ends the line, so that the rest is asked for by the number of the last.
          if (each.id === 2) return void response.end()
        }
      },
    })
    later(() => stage.stop())
  })

  function listen(path: string) {
    const got: unknown[] = []
    const failed: { readonly code: number | undefined; readonly message: string | undefined }[] = []
    const source = new EventSource(`${stage.url}${path}?access_token=${stage.token}`)
    source.addEventListener('reading', ({ data }) => got.push(JSON.parse(data)))
    source.addEventListener('error', ({ code, message }) => failed.push({ code, message }))
    return { got, failed, source }
  }

  const shown = EVENTS.map((each) => ({ ...each, email: '[masked]' }))
  const sealed = (): void => stage.expectSealed(EVENTS.map(({ email }) => email))

  test('gets events as they come, masked, and takes up where the line ended (P-02)', async () => {
    const { got, source } = listen('/streams/orders')
    try {
      await eventually('four events', () => got.length === 4)
      expect(got).toEqual(shown)
      const resumed = stage.api.seen.map(({ target, headers }) => [target, headers['last-event-id']])
      expect(resumed).toEqual([
        ['/streams/orders', undefined],
        ['/streams/orders', '2'],
      ])
    } finally {
      source.close()
    }
    sealed()
  })

  test('fails for good where it is refused, with the status in its error (P-09)', async () => {
    const before = stage.api.seen.length
    const { failed, source } = listen('/secrets/stream')
    try {
      await eventually('an error', () => failed.length > 0)
      expect(failed).toEqual([{ code: 403, message: expect.stringContaining('403') }])
      expect(source.readyState).toBe(source.CLOSED)
    } finally {
      source.close()
    }
    expect(stage.api.seen.length).toBe(before)
    expect(stage.tap.toClients().toString()).toContain('urn:sluice:error:denied')
  })

  test('waits while a person looks, and is then served (P-05)', async () => {
    const { got, failed, source } = listen('/exports/stream')
    try {
      await stage.approve('/exports/stream')
      await eventually('two events', () => got.length >= 2)
      expect([got.slice(0, 2), failed]).toEqual([shown.slice(0, 2), expect.any(Array)])
    } finally {
      source.close()
    }
    sealed()
  })
})
