/** TLS and start-up as clients see them at a listener with a certificate. */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { beforeAll, describe, expect, test } from 'vitest'
import { Secret } from '../../src/core/index.ts'
import { createCertificates, writeCertificates } from '../../src/net/index.ts'
import type { ServerMessage } from '../../src/wire/postgres/index.ts'
import {
  decodeServer,
  encodeClient,
  encodeGssEncryptionRequest,
  encodeSslRequest,
  encodeStartup,
  saslInitialBody,
  ScramClient,
} from '../../src/wire/postgres/index.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import { mintDsn } from '../support/mint.ts'
import type { TestServer } from '../support/postgres.ts'
import { MAJORS, startTestServer } from '../support/postgres.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'

describe('a listener with a certificate', () => {
  const later = teardown()
  let place: string
  let gateway: TestGateway
  let strict: TestGateway
  let authority: string
  let other: string

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), 'sluice-tls-'))
    later(() => rm(place, { recursive: true, force: true }))
    const servers: TestServer[] = []
    for (const major of MAJORS) {
      const server = await startTestServer(major)
      later(() => server.stop())
      await server.role('app', 'app')
      servers.push(server)
    }
    const now = Date.now()
    await writeCertificates(join(place, 'own'), await createCertificates({ names: ['localhost'], now }))
    await writeCertificates(join(place, 'other'), await createCertificates({ names: ['localhost'], now }))
    authority = join(place, 'own/authority.pem')
    other = join(place, 'other/authority.pem')
    const config = (required: boolean) => `listen:
  postgres:
    port: 0
    tls:
      certificate: "\${file:${place}/own/server.pem}"
      key: "\${file:${place}/own/server-key.pem}"
      required: ${required}
identities: { local: [{ name: tester, kind: service }] }
connections:
${servers
  .map(
    ({ major, host, port }) => `  pg${major}:
    protocol: postgres
    upstream: { host: ${host}, port: ${port}, user: app, password: "\${env:SLUICE_TEST_PASSWORD}", sslmode: disable }
    databases: [postgres]`,
  )
  .join('\n')}
rules:
  - { name: all, who: everyone, on: all, permit: { run: all, unreviewed: all, unlimited: true } }
`
    const env = { SLUICE_TEST_PASSWORD: 'app' }
    gateway = await startGateway({ config: config(false), env })
    later(() => gateway.stop())
    strict = await startGateway({ config: config(true), env })
    later(() => strict.stop())
  })

  const ask = async (of: TestGateway, host: string, options: string) => {
    const url = new URL(await mintDsn(of, 'pg15', 'tester'))
    url.hostname = host
    return psql(`${url}?${options}`, '\\conninfo', ['-At'])
  }

  test('is used by clients that ask for it, with its name and authority checked', async () => {
    for (const options of [
      'sslmode=prefer',
      'sslmode=require',
      `sslmode=verify-full&sslrootcert=${authority}`,
      `sslmode=verify-full&sslrootcert=${authority}&channel_binding=require`,
    ]) {
      const done = await ask(gateway, 'localhost', options)
      expect(done.stderr).toBe('')
      expect(done.stdout).toMatch(/SSL connection \(protocol: TLSv1\.3/)
    }
    const clear = await ask(gateway, 'localhost', 'sslmode=disable')
    expect(clear).toMatchObject({ code: 0, stderr: '' })
    expect(clear.stdout).not.toContain('SSL')
  })

  test('is refused by clients that know another authority, or that call it by another name', async () => {
    const wrong = await ask(gateway, 'localhost', `sslmode=verify-full&sslrootcert=${other}`)
    expect(wrong).toMatchObject({ code: 2, stdout: '' })
    expect(wrong.stderr).toMatch(/certificate verify failed/)
    const name = await ask(gateway, '127.0.0.1', `sslmode=verify-full&sslrootcert=${authority}`)
    expect(name.stderr).toMatch(/does not match host name "127.0.0.1"/)
    expect((await ask(gateway, '127.0.0.1', `sslmode=verify-ca&sslrootcert=${authority}`)).code).toBe(0)
  })

  test('can be required, and then `sluice dsn` says so', async () => {
    const clear = await ask(strict, 'localhost', 'sslmode=disable')
    expect(clear).toMatchObject({ code: 2, stdout: '' })
    expect(clear.stderr).toMatch(/Connect with TLS/)
    const dsn = await strict.dsn('pg15', 'tester')
    expect(new URL(dsn).searchParams.get('sslmode')).toBe('require')
    expect(await psql(dsn, 'SELECT 1', ['-At'])).toEqual({ code: 0, stdout: '1\n', stderr: '' })
  })

  test.each(['TLSv1.2', 'TLSv1.3'])('speaks %s', async (version) => {
    const at = `sslmode=require&ssl_min_protocol_version=${version}&ssl_max_protocol_version=${version}`
    expect((await ask(gateway, 'localhost', at)).stdout).toContain(version)
  })

  test('speaks nothing older', async () => {
    const at = 'sslmode=require&ssl_min_protocol_version=TLSv1&ssl_max_protocol_version=TLSv1.1'
    expect(await ask(gateway, 'localhost', at)).toMatchObject({ code: 2, stdout: '' })
  })

  const ca = () => readFileSync(authority)
  const port = () => gateway.ports['postgres'] ?? 0

  test('takes direct TLS with the ALPN protocol of PostgreSQL, and binds the login to it', async () => {
    const socket = connectTls({ host: 'localhost', port: port(), ca: ca(), ALPNProtocols: ['postgresql'] })
    await once(socket, 'secureConnect')
    expect(socket.alpnProtocol).toBe('postgresql')
    const certificate = new X509Certificate(readFileSync(join(place, 'own/server.pem')))
    const client = new RawClient(socket, createHash('sha256').update(certificate.raw).digest())
    await client.login(await mintDsn(gateway, 'pg15', 'tester'), 0)
    expect(client.mechanism).toBe('SCRAM-SHA-256-PLUS')
    expect(await client.query('SELECT 42')).toEqual(['42'])
    socket.destroy()
  })

  test('takes no direct TLS without that protocol, which could be another one talking', async () => {
    const socket = connectTls({ host: 'localhost', port: port(), ca: ca() })
    await once(socket, 'secureConnect')
    const client = new RawClient(socket)
    const [error] = await client.until('errorResponse')
    expect(error).toMatchObject({ kind: 'errorResponse', fields: { code: '08P01' } })
    socket.destroy()
    const web = connectTls({ host: 'localhost', port: port(), ca: ca(), ALPNProtocols: ['http/1.1'] })
    await expect(once(web, 'secureConnect')).rejects.toThrow()
  })

  test('refuses GSSAPI politely, then TLS goes on', async () => {
    const plain = connect({ host: '127.0.0.1', port: port() })
    plain.write(encodeGssEncryptionRequest())
    expect(String((await once(plain, 'data'))[0])).toBe('N')
    plain.write(encodeSslRequest())
    expect(String((await once(plain, 'data'))[0])).toBe('S')
    const socket = connectTls({ socket: plain, ca: ca(), servername: 'localhost', host: 'localhost' })
    await once(socket, 'secureConnect')
    const client = new RawClient(socket)
    await client.login(await mintDsn(gateway, 'pg15', 'tester'), 0)
    expect(await client.query('SELECT 1')).toEqual(['1'])
    socket.destroy()
  })

  test.each(MAJORS)('speaks protocol 3.2 in front of PostgreSQL %i', async (major) => {
    const socket = connect({ host: '127.0.0.1', port: port() })
    const client = new RawClient(socket)
    const seen = await client.login(await mintDsn(gateway, `pg${major}`, 'tester'), 2)
    expect(seen.map(({ kind }) => kind)).not.toContain('negotiateProtocolVersion')
    expect(await client.query('SELECT 1')).toEqual(['1'])
    socket.destroy()
  })

  test('negotiates a protocol of the future and unknown options down', async () => {
    const socket = connect({ host: '127.0.0.1', port: port() })
    const client = new RawClient(socket)
    const seen = await client.login(await mintDsn(gateway, 'pg15', 'tester'), 9, [['_pq_.shoes', 'on']])
    expect(seen[0]).toEqual({ kind: 'negotiateProtocolVersion', minor: 2, options: ['_pq_.shoes'] })
    expect(await client.query('SELECT 1')).toEqual(['1'])
    socket.destroy()
  })
})

/** Just enough of a client to log in over any socket and to ask one thing. */
class RawClient {
  readonly #socket: Socket
  readonly #hash: Uint8Array | undefined
  #bytes = Buffer.alloc(0)
  mechanism = ''

  constructor(socket: Socket, hash?: Uint8Array) {
    this.#socket = socket
    this.#hash = hash
    socket.pause()
  }

  async login(
    dsn: string,
    minor: number,
    more: readonly (readonly [string, string])[] = [],
  ): Promise<ServerMessage[]> {
    const url = new URL(dsn)
    const user = decodeURIComponent(url.username)
    const database = url.pathname.slice(1)
    this.#socket.write(encodeStartup([['user', user], ['database', database], ...more], minor))
    const seen = await this.until('authenticationSasl')
    const offered = seen.at(-1)
    if (offered?.kind !== 'authenticationSasl') throw new Error('no login')
    const scram = new ScramClient({
      password: new Secret(decodeURIComponent(url.password)),
      mechanisms: offered.mechanisms,
      endPointHash: this.#hash,
      random: (length) => randomBytes(length),
    })
    this.mechanism = scram.mechanism
    this.#socket.write(
      encodeClient({ kind: 'password', body: saslInitialBody(scram.mechanism, scram.first()) }),
    )
    const [first] = await this.until('authenticationSaslContinue')
    if (first?.kind !== 'authenticationSaslContinue') throw new Error('no challenge')
    this.#socket.write(encodeClient({ kind: 'password', body: await scram.final(first.data) }))
    const [last, ...rest] = await this.until('readyForQuery')
    if (last?.kind !== 'authenticationSaslFinal') throw new Error('no proof of the server')
    scram.verify(last.data)
    return [...seen, ...rest]
  }

  async query(sql: string): Promise<string[]> {
    this.#socket.write(encodeClient({ kind: 'query', sql: Buffer.from(sql) }))
    const rows: string[] = []
    for (const message of await this.until('readyForQuery')) {
      if (message.kind === 'dataRow') rows.push(String(Buffer.from(message.cells[0] ?? [])))
    }
    return rows
  }

  /** All messages up to the first of this kind. An error that was not asked for is thrown. */
  async until(kind: ServerMessage['kind']): Promise<ServerMessage[]> {
    const seen: ServerMessage[] = []
    for (;;) {
      while (this.#bytes.length < 5 || this.#bytes.length < 1 + this.#bytes.readUInt32BE(1)) {
        const chunk: Buffer | null = this.#socket.read()
        if (chunk !== null) this.#bytes = Buffer.concat([this.#bytes, chunk])
        else if (this.#socket.readableEnded) throw new Error('the gateway hung up')
        else await Promise.race([once(this.#socket, 'readable'), once(this.#socket, 'end')])
      }
      const end = 1 + this.#bytes.readUInt32BE(1)
      const message = decodeServer(this.#bytes.readUInt8(0), Buffer.from(this.#bytes.subarray(5, end)))
      this.#bytes = this.#bytes.subarray(end)
      seen.push(message)
      if (message.kind === kind) return seen
      if (message.kind === 'errorResponse')
        throw new Error(`${message.fields.code} ${message.fields.message}`)
    }
  }
}
