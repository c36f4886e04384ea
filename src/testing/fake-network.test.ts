import { expect, test } from 'vitest'
import type { Pipe } from '../core/index.ts'
import { Secret } from '../core/index.ts'
import { FakeNetwork } from './fake-network.ts'
import { turns } from './pipe-pair.ts'

const TLS = { certificate: 'a certificate', key: new Secret('a key'), alpn: ['postgresql'] }

test('who listens is reached, and nobody else', async () => {
  let far: Pipe | undefined
  const network = new FakeNetwork().listen('db', 5432, (pipe) => {
    far = pipe
  })
  const near = await network.dial({ host: 'db', port: 5432 })
  const heard: string[] = []
  far!.onData = (bytes) => void heard.push(bytes.toString())
  near.write(Buffer.from('hello'))
  await turns()
  expect(heard).toEqual(['hello'])
  await expect(network.dial({ host: 'db', port: 5433 })).rejects.toMatchObject({
    code: 'upstream_unreachable',
  })
  expect(network.dialled.map((each) => each.port)).toEqual([5432, 5433])
})

test('TLS gives both ends the same facts, once', async () => {
  let far: Pipe | undefined
  const network = new FakeNetwork().listen('db', 5432, (pipe) => {
    far = pipe
  })
  const near = await network.dial({ host: 'db', port: 5432 })
  const client = network.secureClient(near, { verify: 'full', servername: 'db', alpn: ['postgresql'] })
  await network.secureServer(far!, TLS)
  await client
  expect(near.tls?.alpn).toBe('postgresql')
  expect(near.tls?.servername).toBe('db')
  expect(near.tls?.endPointHash).toEqual(far!.tls?.endPointHash)
  await expect(network.secureServer(far!, TLS)).rejects.toThrow('only once')
})

test('a client whose server goes away during the handshake is told', async () => {
  let far: Pipe | undefined
  const network = new FakeNetwork().listen('db', 5432, (pipe) => {
    far = pipe
  })
  const near = await network.dial({ host: 'db', port: 5432 })
  const client = network.secureClient(near, { verify: 'none', servername: 'db' })
  far!.destroy()
  await expect(client).rejects.toMatchObject({ code: 'upstream_unreachable' })
})
