import { expect, test } from 'vitest'
import type { Pipe } from '../core/index.ts'
import { Secret } from '../core/index.ts'
import { encodeSslRequest, encodeStartup } from '../wire/postgres/index.ts'
import { FakeNetwork } from './fake-network.ts'
import { FakePostgres } from './fake-postgres.ts'
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

test('a fake server makes TLS on it and offers to bind the channel', async () => {
  const network = new FakeNetwork()
  const server = new FakePostgres({ auth: 'scram', password: 'pencil', tls: TLS, tlsRequired: true, network })
  network.listen('db', 5432, (pipe) => server.serve(pipe))
  const near = await network.dial({ host: 'db', port: 5432 })
  let heard = ''
  near.onData = (bytes) => {
    heard += bytes.toString('latin1')
  }
  near.write(encodeSslRequest())
  await turns()
  expect(heard).toBe('S')
  await network.secureClient(near, { verify: 'none', servername: 'db' })
  near.write(encodeStartup([['user', 'ada']]))
  await turns()
  expect(heard).toContain('SCRAM-SHA-256-PLUS')
})
