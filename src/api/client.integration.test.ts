import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { ApiClient } from './client.ts'

const place = mkdtempSync(join(tmpdir(), 'sluice-client-'))
const path = join(place, 'socket')
let stop = (): Promise<unknown> => Promise.resolve()

afterEach(() => stop())
afterAll(() => rmSync(place, { recursive: true, force: true }))

async function answering(listener: RequestListener): Promise<ApiClient> {
  const server = createServer(listener).listen(path)
  await once(server, 'listening')
  const client = new ApiClient({ kind: 'socket', path })
  stop = async () => {
    stop = () => Promise.resolve()
    await client.close()
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  return client
}

it('asks, says what it sends, and uses one socket for what follows one another', async () => {
  const sockets = new Set<unknown>()
  const client = await answering((request, answer) => {
    sockets.add(request.socket)
    let sent = ''
    request.setEncoding('utf8').on('data', (text: string) => (sent += text))
    request.on('end', () => answer.end(JSON.stringify([request.method, request.url, sent])))
  })
  expect(await client.call('POST', '/v1/a?b=1', { text: 'é' })).toEqual(['POST', '/v1/a?b=1', '{"text":"é"}'])
  expect(await client.call('DELETE', '/v1/c')).toEqual(['DELETE', '/v1/c', ''])
  expect(sockets.size).toBe(1)
})

it('fails when the answer is broken off, and takes nothing else along', async () => {
  const client = await answering((_, answer) => {
    answer.writeHead(200, { 'content-length': '1000' }).write('{"half":')
    setImmediate(() => answer.destroy())
  })
  await expect(client.call('GET', '/v1/status')).rejects.toThrow()
  await expect(
    (async () => {
      for await (const part of await client.stream('/v1/events')) expect(part.toString()).toBe('{"half":')
    })(),
  ).rejects.toThrow()
})

it('can leave a stream that goes on', async () => {
  const gone = Promise.withResolvers<void>()
  const client = await answering((_, answer) => {
    answer.on('close', () => gone.resolve())
    answer.writeHead(200).write('one')
  })
  for await (const part of await client.stream('/v1/events')) {
    expect(part.toString()).toBe('one')
    break
  }
  await gone.promise
})

it('says so where nobody answers', async () => {
  const client = new ApiClient({ kind: 'socket', path: join(place, 'nothing') })
  await expect(client.call('GET', '/v1/status')).rejects.toMatchObject({
    code: 'upstream_unreachable',
    remedy: expect.stringMatching(/data directory/),
  })
})
