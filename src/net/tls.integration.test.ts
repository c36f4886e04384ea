import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { GatewayError, Secret } from '../core/index.ts'
import type { Pipe, ServerTls } from '../core/index.ts'
import { X509Certificate, createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { connect as netConnect } from 'node:net'
import { Duplex } from 'node:stream'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { createCertificates, dial, listen, secureClient, secureServer, writeCertificates } from './index.ts'
import type { Certificates, Listener } from './index.ts'

let certificates: Certificates
let server: ServerTls

beforeAll(async () => {
  certificates = await createCertificates({ names: ['localhost', '127.0.0.1'], now: Date.now() })
  server = { certificate: certificates.certificate, key: certificates.key, alpn: ['postgresql'] }
})

const open: Listener[] = []
afterEach(() => {
  for (const each of open.splice(0)) each.destroy()
})

/** A server that makes TLS when it reads `S`, or at once when a TLS record comes first; then says back what it gets. */
async function listening(
  onPipe?: (pipe: Pipe) => void,
  limits = { handshakeMs: 5_000 },
): Promise<{ readonly listener: Listener; readonly failures: unknown[] }> {
  const failures: unknown[] = []
  const listener = await listen({
    address: '127.0.0.1',
    port: 0,
    limits,
    onPipe({ pipe, admitted }) {
      const echo = (): void => {
        admitted()
        onPipe?.(pipe)
        pipe.onData = (bytes) => {
          pipe.write(Buffer.from(bytes))
        }
        pipe.onEnd = () => pipe.end()
      }
      pipe.onData = (bytes) => {
        if (bytes[0] === 0x16) {
          secureServer(pipe, server, bytes).then(echo, (error: unknown) => failures.push(error))
        } else {
          pipe.write(Buffer.from('S'))
          secureServer(pipe, server).then(echo, (error: unknown) => failures.push(error))
        }
      }
    },
  })
  open.push(listener)
  return { listener, failures }
}

async function upgraded(port: number, tls: Partial<Parameters<typeof secureClient>[1]> = {}): Promise<Pipe> {
  const pipe = await dial({ host: '127.0.0.1', port, timeoutMs: 5_000 })
  await new Promise<void>((fulfil) => {
    pipe.onData = () => fulfil()
    pipe.write(Buffer.from('please'))
  })
  return secureClient(pipe, { verify: 'full', servername: 'localhost', ca: certificates.authority, ...tls })
}

function said(pipe: Pipe, length: number): Promise<string> {
  let text = ''
  return new Promise((fulfil) => {
    pipe.onData = (bytes) => {
      text += bytes.toString('latin1')
      if (text.length >= length) fulfil(text)
    }
  })
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((fulfil) => setTimeout(fulfil, 2))
}

describe('TLS on request', () => {
  it('is made in place on both sides, and both sides know the same certificate', async () => {
    const pipes: Pipe[] = []
    const { listener } = await listening((pipe) => pipes.push(pipe))
    const pipe = await upgraded(listener.port, { alpn: ['postgresql'] })
    const answer = said(pipe, 5)
    pipe.write(Buffer.from('hello'))
    expect(await answer).toBe('hello')
    const raw = new X509Certificate(certificates.certificate).raw
    const hash = createHash('sha256').update(raw).digest()
    expect(pipe.tls).toMatchObject({ protocol: 'TLSv1.3', alpn: 'postgresql', endPointHash: hash })
    expect(pipes[0]?.tls).toMatchObject({
      protocol: 'TLSv1.3',
      alpn: 'postgresql',
      servername: 'localhost',
      endPointHash: hash,
    })
  })

  it('carries much, both ways, with backpressure and half-close', async () => {
    const { listener } = await listening()
    const pipe = await upgraded(listener.port)
    const chunk = Buffer.alloc(100_000, 3)
    let got = 0
    pipe.onData = (bytes) => {
      got += bytes.length
    }
    const ended = new Promise<void>((fulfil) => {
      pipe.onEnd = fulfil
    })
    for (let i = 0; i < 100; i++) {
      if (!pipe.write(chunk)) {
        await new Promise<void>((fulfil) => {
          pipe.onDrain = fulfil
        })
      }
    }
    pipe.end()
    await ended
    expect(got).toBe(100 * chunk.length)
  })

  it('calls nobody while paused', async () => {
    const { listener } = await listening()
    const pipe = await upgraded(listener.port)
    let got = 0
    pipe.onData = (bytes) => {
      got += bytes.length
    }
    pipe.pause()
    pipe.write(Buffer.alloc(300_000))
    await new Promise((fulfil) => setTimeout(fulfil, 50))
    expect(got).toBe(0)
    pipe.resume()
    await until(() => got === 300_000)
  })

  it('refuses plain bytes in place of a handshake', async () => {
    const { listener, failures } = await listening()
    const pipe = await dial({ host: '127.0.0.1', port: listener.port, timeoutMs: 5_000 })
    const gone = new Promise<void>((fulfil) => {
      pipe.onClose = () => fulfil()
    })
    pipe.onData = () => {
      pipe.write(Buffer.from('SELECT 1; -- not a handshake'))
    }
    pipe.write(Buffer.from('please'))
    await gone
    expect(failures).toHaveLength(1)
    expect(failures[0]).toMatchObject({ code: 'protocol_violation' })
  })

  it('ends a stream whose records break after the handshake', async () => {
    const pipes: Pipe[] = []
    const { listener } = await listening((pipe) => pipes.push(pipe))
    const raw = netConnect(listener.port, '127.0.0.1')
    raw.on('error', () => undefined)
    raw.write('please')
    await new Promise((fulfil) => raw.once('data', fulfil))
    const secure = tlsConnect({ socket: raw, servername: 'localhost', ca: certificates.authority })
    secure.on('error', () => undefined)
    await new Promise((fulfil) => secure.once('secureConnect', fulfil))
    await until(() => pipes.length === 1)
    const pipe = pipes[0]
    if (pipe === undefined) throw new Error('no pipe')
    const gone = new Promise<Error | undefined>((fulfil) => {
      pipe.onClose = fulfil
    })
    // Behind the TLS layer's back, straight into the same connection: a record of application data that is garbage.
    const handle: unknown = Reflect.get(raw, '_handle')
    if (typeof handle !== 'object' || handle === null) throw new Error('no handle')
    const fd: unknown = Reflect.get(handle, 'fd')
    const { writeSync } = await import('node:fs')
    writeSync(fd as number, Buffer.concat([Buffer.from([0x17, 3, 3, 0, 64]), Buffer.alloc(64, 1)]))
    expect(await gone).toBeInstanceOf(Error)
    raw.destroy()
  })

  it('is cut by the deadline of the listener when it does not come to an end', async () => {
    const { listener, failures } = await listening(undefined, { handshakeMs: 150 })
    const pipe = await dial({ host: '127.0.0.1', port: listener.port, timeoutMs: 5_000 })
    const gone = new Promise<void>((fulfil) => {
      pipe.onClose = () => fulfil()
    })
    pipe.write(Buffer.from('please'))
    await gone
    await until(() => failures.length === 1)
    expect(listener.live).toBe(0)
  })

  it('says when certificate and key do not belong together, and leaves the pipe alone', async () => {
    const other = await createCertificates({ names: ['localhost'], now: Date.now() })
    const { listener } = await listening()
    const pipe = await dial({ host: '127.0.0.1', port: listener.port, timeoutMs: 5_000 })
    await expect(
      secureServer(pipe, { certificate: certificates.certificate, key: other.key }),
    ).rejects.toMatchObject({ code: 'invalid' })
    await expect(secureServer(pipe, { certificate: 'nonsense', key: other.key })).rejects.toMatchObject({
      code: 'invalid',
    })
    expect((await upgraded(listener.port)).tls).toBeDefined()
    await expect(
      secureClient(pipe, { verify: 'full', servername: 'localhost', ca: 'nonsense' }),
    ).rejects.toMatchObject({ code: 'upstream_unreachable' })
  })

  it('refuses TLS 1.1', async () => {
    const { listener, failures } = await listening()
    const raw = netConnect(listener.port, '127.0.0.1')
    raw.write('please')
    await new Promise((fulfil) => raw.once('data', fulfil))
    const secure = tlsConnect({
      socket: raw,
      rejectUnauthorized: false,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    await new Promise((fulfil) => secure.once('error', fulfil))
    await until(() => failures.length === 1)
  })
})

describe('direct TLS', () => {
  it('takes a ClientHello that was already read, whole or in pieces', async () => {
    const { listener } = await listening()
    for (const first of [undefined, 1, 5, 200]) {
      const raw = netConnect(listener.port, '127.0.0.1')
      const relay = first === undefined ? raw : cutting(raw, first)
      const secure = tlsConnect({
        socket: relay,
        servername: 'localhost',
        ca: certificates.authority,
        ALPNProtocols: ['postgresql'],
      })
      await new Promise((fulfil, reject) => {
        secure.once('secureConnect', fulfil)
        secure.once('error', reject)
      })
      expect(secure.alpnProtocol).toBe('postgresql')
      secure.write('direct')
      const [bytes] = await new Promise<[Buffer]>((fulfil) => secure.once('data', (b: Buffer) => fulfil([b])))
      expect(bytes.toString()).toBe('direct')
      secure.destroy()
      raw.destroy()
    }
  })

  it('refuses a client that offers other protocols only', async () => {
    const { listener, failures } = await listening()
    const secure = tlsConnect({
      port: listener.port,
      host: '127.0.0.1',
      ca: certificates.authority,
      ALPNProtocols: ['http/1.1'],
    })
    const error = await new Promise<Error>((fulfil) => secure.once('error', fulfil))
    expect(error.message).toContain('no application protocol')
    await until(() => failures.length === 1)
  })
})

describe('the certificate of an upstream', () => {
  it.each([
    ['full', 'localhost', true],
    ['full', '127.0.0.1', true],
    ['full', 'db.example.com', false],
    ['ca', 'db.example.com', true],
    ['none', 'db.example.com', true],
  ] as const)('verify %s with the name %s: accepted %s', async (verify, servername, accepted) => {
    const { listener } = await listening()
    const attempt = upgraded(listener.port, { verify, servername })
    if (accepted) {
      expect((await attempt).tls?.endPointHash).toHaveLength(32)
    } else {
      const failure = await attempt.catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(GatewayError)
      expect(failure).toMatchObject({
        code: 'upstream_unreachable',
        message: 'TLS with the upstream failed: its certificate is for another name.',
      })
    }
  })

  it.each(['ca', 'full'] as const)('signed by somebody else is refused under verify %s', async (verify) => {
    const { listener } = await listening()
    const other = await createCertificates({ names: ['localhost'], now: Date.now() })
    await expect(upgraded(listener.port, { verify, ca: other.authority })).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: 'TLS with the upstream failed: its certificate is not signed by a trusted authority.',
    })
    expect((await upgraded(listener.port, { verify: 'none', ca: other.authority })).tls).toBeDefined()
  })

  it('that has expired is refused', async () => {
    const old = await createCertificates({ names: ['localhost'], now: 0, days: 1 })
    const listener = await listen({
      address: '127.0.0.1',
      port: 0,
      onPipe({ pipe }) {
        pipe.onData = () => {
          pipe.write(Buffer.from('S'))
          secureServer(pipe, { certificate: old.certificate, key: old.key }).catch(() => undefined)
        }
      },
    })
    open.push(listener)
    await expect(upgraded(listener.port, { ca: old.authority })).rejects.toMatchObject({
      message: 'TLS with the upstream failed: its certificate has expired.',
    })
  })

  it('is shown a certificate of ours when it asks for one', async () => {
    const seen = Promise.withResolvers<string>()
    const { createServer } = await import('node:tls')
    const upstream = createServer(
      {
        cert: certificates.certificate,
        key: certificates.key.reveal(),
        ca: certificates.authority,
        requestCert: true,
        rejectUnauthorized: false,
      },
      (socket) => seen.resolve(String(socket.getPeerCertificate().subject?.CN)),
    )
    await new Promise<void>((fulfil) => upstream.listen(0, '127.0.0.1', fulfil))
    const address = upstream.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const pipe = await secureClient(await dial({ host: '127.0.0.1', port, timeoutMs: 5_000 }), {
      verify: 'full',
      servername: 'localhost',
      ca: certificates.authority,
      certificate: certificates.certificate,
      key: new Secret(certificates.key.reveal()),
    })
    expect(await seen.promise).toBe('localhost')
    pipe.destroy()
    upstream.close()
  })
})

describe('certificates', () => {
  it('are written for their owner only, and never over others', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'sluice-net-'))
    const directory = join(parent, 'tls')
    await writeCertificates(directory, certificates)
    for (const name of ['authority.pem', 'authority-key.pem', 'server.pem', 'server-key.pem']) {
      expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600)
    }
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
    expect(await readFile(join(directory, 'server.pem'), 'utf8')).toBe(certificates.certificate)
    await expect(writeCertificates(directory, certificates)).rejects.toMatchObject({ code: 'conflict' })
    await rm(parent, { recursive: true })
  })

  it('name what they were asked to name', async () => {
    const names = ['db.example.com', '*.example.com', '10.0.0.200', '::1', '2001:db8::7:ffff'] as const
    const many = await createCertificates({ names, now: Date.UTC(2030, 0, 1) })
    expect(new X509Certificate(many.certificate).subjectAltName).toBe(
      'DNS:db.example.com, DNS:*.example.com, IP Address:10.0.0.200, IP Address:0:0:0:0:0:0:0:1, ' +
        'IP Address:2001:DB8:0:0:0:0:7:FFFF',
    )
    expect(new X509Certificate(many.authority).validTo).toBe('Dec 30 00:00:00 2039 GMT')
    const late = await createCertificates({ names, now: Date.UTC(2055, 0, 1), days: 10_000 })
    expect(new X509Certificate(late.certificate).validTo).toBe('Apr  5 00:00:00 2057 GMT')
    const leaf = new X509Certificate(certificates.certificate)
    const authority = new X509Certificate(certificates.authority)
    expect(leaf.subjectAltName).toBe('DNS:localhost, IP Address:127.0.0.1')
    expect(leaf.ca).toBe(false)
    expect(authority.ca).toBe(true)
    expect(leaf.verify(authority.publicKey)).toBe(true)
    expect(leaf.checkIssued(authority)).toBe(true)
  })

  it.each(['', 'a b', 'ex*mple.com', 'example..com', `${'a'.repeat(64)}.com`])(
    'are not made for %j',
    async (name) => {
      await expect(createCertificates({ names: [name], now: 0 })).rejects.toThrow(
        'host names and IP addresses only',
      )
    },
  )
})

/** The socket as the TLS layer sees it, with its first write sent in two pieces, the second a little later. */
function cutting(socket: ReturnType<typeof netConnect>, at: number): Duplex {
  let first = true
  const between = new Duplex({
    read() {
      socket.resume()
    },
    write(chunk: Buffer, _encoding, done) {
      if (!first) {
        socket.write(chunk, done)
        return
      }
      first = false
      socket.write(chunk.subarray(0, at))
      setTimeout(() => socket.write(chunk.subarray(at), done), 20)
    },
  })
  socket.on('data', (bytes: Buffer) => between.push(bytes))
  return between
}
