import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { urlAuditSource } from './url-source.ts'

test('a server that drips holds nobody up: a file has a time of its own', async () => {
  const server = createServer((request, response) => {
    response.writeHead(200)
    response.flushHeaders()
    if (request.url === '/quick') return void response.end('all')
    const timer = setInterval(() => response.write('x'), 5)
    response.on('close', () => clearInterval(timer))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const read = async (path: string, fetchMs?: number): Promise<string> => {
    const source = urlAuditSource(url, fetchMs)
    let text = ''
    for await (const piece of (await source.read(path)) ?? []) text += Buffer.from(piece).toString()
    return text
  }
  try {
    expect(await read('quick')).toBe('all')
    await expect(read('slow', 300)).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: expect.stringContaining('longer than --fetch-timeout'),
    })
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
