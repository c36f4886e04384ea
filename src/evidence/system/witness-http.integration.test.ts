import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { LIMITS } from '../../core/index.ts'
import { startWitnessServer, witnessPost } from '../index.ts'
import type { WitnessAnswer } from '../witness/witness.ts'

const stops: (() => unknown)[] = []

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

async function serve(addCheckpoint: (body: Uint8Array) => Promise<WitnessAnswer>) {
  const faults: unknown[] = []
  const witness = { addCheckpoint }
  const server = await startWitnessServer({
    witness,
    host: '127.0.0.1',
    port: 0,
    report: (e) => faults.push(e),
  })
  stops.push(() => server.stop())
  return { url: `http://127.0.0.1:${server.port}`, port: server.port, faults }
}

const answer = (status: WitnessAnswer['status'], body: string, mediaType = 'text/plain'): WitnessAnswer => ({
  status,
  mediaType,
  body,
})

describe('the server of a witness', () => {
  it('hands over bytes and answers what the witness answers, whatever the client calls them', async () => {
    const bodies: string[] = []
    const { url } = await serve(async (body) => {
      bodies.push(Buffer.from(body).toString())
      return answer(409, '12\n', 'text/x.tlog.size')
    })
    const body = Buffer.from('old 0\n\nä\n')
    const reply = await witnessPost(`${url}/`)(body)
    expect({ ...reply, body: Buffer.from(reply.body).toString() }).toEqual(
      answer(409, '12\n', 'text/x.tlog.size'),
    )
    const json = { method: 'POST', body, headers: { 'content-type': 'application/json' } }
    expect((await fetch(`${url}/add-checkpoint`, json)).status).toBe(409)
    expect(await fetch(`${url}/add-checkpoint`, { method: 'POST' })).toMatchObject({ status: 409 })
    expect(bodies).toEqual(['old 0\n\nä\n', 'old 0\n\nä\n', ''])
    expect((await fetch(`${url}/add-checkpoint`)).status).toBe(404)
    expect((await fetch(url)).status).toBe(404)
  })

  it('reads no more than a request may have, and does no more at once than it may', async () => {
    const gate = Promise.withResolvers<void>()
    let asked = 0
    const { url, faults } = await serve(async () => {
      asked += 1
      await gate.promise
      return answer(200, '')
    })
    const post = (body: Uint8Array) =>
      fetch(`${url}/add-checkpoint`, { method: 'POST', body: Buffer.from(body) })
    expect((await post(new Uint8Array(LIMITS.noteBytesMax + 10_000))).status).toBe(413)
    expect(asked).toBe(0)
    const waiting = Array.from({ length: LIMITS.witnessRequestsMax }, () => post(new Uint8Array(1)))
    while (asked < LIMITS.witnessRequestsMax) await new Promise((resolve) => setImmediate(resolve))
    expect((await post(new Uint8Array(1))).status).toBe(503)
    gate.resolve()
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(waiting.map(() => 200))
    expect(faults).toEqual([])
  })

  it('reports a fault of its own, and tells nobody what it was', async () => {
    const { url, faults } = await serve(() => Promise.reject(new Error('the disk /secret is full')))
    const reply = await fetch(`${url}/add-checkpoint`, { method: 'POST', body: 'x' })
    expect(reply.status).toBe(500)
    expect(await reply.text()).toBe('The witness met a fault of its own: nothing was cosigned.\n')
    expect(faults).toMatchObject([{ message: 'the disk /secret is full' }])
  })

  it('stops although somebody has not finished asking', async () => {
    const { port } = await serve(async () => answer(200, ''))
    const socket = connect(port, '127.0.0.1')
    stops.unshift(() => socket.destroy())
    await once(socket, 'connect')
    socket.write('POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 10\r\n\r\nold')
    // Cut off, or bidden farewell: either way it is over.
    const closed = new Promise((resolve) => socket.on('error', () => {}).on('close', resolve))
    await stops.pop()?.()
    await closed
  })
})

describe('asking a witness over HTTP', () => {
  async function fake(respond: Parameters<typeof createServer>[1]): Promise<string> {
    const server = createServer(respond).listen(0, '127.0.0.1')
    await once(server, 'listening')
    stops.push(() => {
      server.closeAllConnections()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    return `http://127.0.0.1:${port}`
  }

  it.each([
    ['is not there', async () => 'http://127.0.0.1:1'],
    ['hangs up', () => fake((_, response) => response.destroy())],
    ['never stops talking', () => fake((_, response) => response.end(Buffer.alloc(LIMITS.noteBytesMax + 1)))],
  ])('is over when it %s', async (_what, start) => {
    await expect(witnessPost(await start())(new Uint8Array(3))).rejects.toMatchObject({
      code: 'upstream_unreachable',
      retry: 'later',
    })
  })

  it('follows nobody elsewhere', async () => {
    const url = await fake((_, response) =>
      response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
    )
    expect((await witnessPost(url)(new Uint8Array(3))).status).toBe(307)
  })
})
