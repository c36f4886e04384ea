import type { Socket } from 'node:net'
import { duplexPair } from 'node:stream'
import { expect, it } from 'vitest'
import { HttpStage } from '../../../testing/http-stage.ts'
import { http } from '../index.ts'

it.each([
  ['127.0.0.1', '200'],
  ['::ffff:127.0.0.1', '200'],
  ['192.0.2.7', '401'],
  ['2001:db8::1', '401'],
])(
  'takes a token in clear on loopback only: from %s the answer is %s (P-08)',
  async (remoteAddress, status) => {
    const stage = await HttpStage.open()
    stage.json('GET /customers', { items: [] })
    const server = http.serve(stage.world.context())
    const [ours, theirs] = duplexPair()
    if (server.takes !== 'socket') throw new Error('this protocol takes sockets')
    server.accept(
      Object.assign(theirs, { remoteAddress, remotePort: 1 }) as unknown as Socket,
      () => undefined,
    )
    const { secret } = await stage.world.mint('http', 'api')
    ours.write(
      `GET /c/api/customers HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer ${secret.reveal()}\r\nconnection: close\r\n\r\n`,
    )
    const chunks: Buffer[] = []
    for await (const chunk of ours) chunks.push(Buffer.from(chunk))
    expect(Buffer.concat(chunks).toString()).toContain(`HTTP/1.1 ${status} `)
    expect(stage.asked).toHaveLength(status === '200' ? 1 : 0)
    await server.close()
    await stage.close()
  },
)
