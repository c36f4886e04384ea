import { afterEach, describe, expect, it } from 'vitest'
import { GatewayError, LIMITS } from '../core/index.ts'
import type { Pipe } from '../core/index.ts'
import { createServer, connect as netConnect } from 'node:net'
import type { Socket } from 'node:net'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dial, listen } from './index.ts'
import type { Accepted, Listener, ListenLimits } from './index.ts'
import { sourceOf } from './listener.ts'
import { acceptedPipe } from './socket-pipe.ts'

const open: Listener[] = []
afterEach(() => {
  for (const each of open.splice(0)) each.destroy()
})

async function listening(
  onPipe: (accepted: Accepted) => void,
  limits?: Partial<ListenLimits>,
  onCut?: (why: string) => void,
): Promise<Listener> {
  const listener = await listen({
    address: '127.0.0.1',
    port: 0,
    onPipe,
    ...(limits === undefined ? {} : { limits }),
    ...(onCut === undefined ? {} : { onCut }),
  })
  open.push(listener)
  return listener
}

function dialled(port: number): Promise<Pipe> {
  return dial({ host: '127.0.0.1', port, timeoutMs: 5_000 })
}

/** Both ends of one connection, each a pipe of ours. */
async function pair(): Promise<{
  readonly client: Pipe
  readonly server: Pipe
  readonly listener: Listener
}> {
  const accepted = Promise.withResolvers<Pipe>()
  const listener = await listening(({ pipe, admitted }) => {
    admitted()
    accepted.resolve(pipe)
  })
  const client = await dialled(listener.port)
  return { client, server: await accepted.promise, listener }
}

function closed(pipe: Pipe): Promise<Error | undefined> {
  return new Promise((fulfil) => {
    pipe.onClose = fulfil
  })
}

/** Everything a pipe gets, as text, until the peer ends. */
function collected(pipe: Pipe): Promise<string> {
  let text = ''
  pipe.onData = (bytes) => {
    text += bytes.toString('latin1')
  }
  return new Promise((fulfil) => {
    pipe.onEnd = () => fulfil(text)
  })
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((fulfil) => setTimeout(fulfil, 2))
}

describe('a pipe', () => {
  it('carries bytes both ways, and knows the peer', async () => {
    const { client, server, listener } = await pair()
    expect(client.remote).toEqual({ address: '127.0.0.1', port: listener.port })
    expect(server.remote.address).toBe('127.0.0.1')
    expect(server.tls).toBeUndefined()
    server.onData = (bytes) => {
      server.write(Buffer.from(bytes.toString().toUpperCase()))
    }
    server.onEnd = () => server.end(Buffer.from('.'))
    const answer = collected(client)
    client.write(Buffer.from('hello'))
    client.end(Buffer.from(' world'))
    expect(await answer).toBe('HELLO WORLD.')
  })

  it('stays writable after the peer has ended (half-close), and closes once both have', async () => {
    const { client, server } = await pair()
    const gone = Promise.all([closed(client), closed(server)])
    const ended = collected(server)
    const answer = collected(client)
    client.end(Buffer.from('question'))
    expect(await ended).toBe('question')
    await new Promise((fulfil) => setTimeout(fulfil, 20))
    server.write(Buffer.from('an answer '))
    server.end(Buffer.from('in two parts'))
    expect(await answer).toBe('an answer in two parts')
    expect(await gone).toEqual([undefined, undefined])
  })

  it('says why it broke, once, and takes no harm from what is done to it afterwards', async () => {
    const { client, server } = await pair()
    let closes = 0
    const gone = new Promise<Error | undefined>((fulfil) => {
      server.onClose = (error) => {
        closes++
        fulfil(error)
      }
    })
    server.destroy(new Error('enough'))
    expect((await gone)?.message).toBe('enough')
    expect(server.write(Buffer.from('more'))).toBe(false)
    server.end(Buffer.from('more'))
    server.pause()
    server.resume()
    server.destroy(new Error('again'))
    await closed(client)
    expect(closes).toBe(1)
    client.write(Buffer.from('anyone?'))
    client.destroy()
  })

  it('tells of a reset', async () => {
    const accepted = Promise.withResolvers<Pipe>()
    const listener = await listening(({ pipe }) => accepted.resolve(pipe))
    const socket = netConnect(listener.port, '127.0.0.1')
    const pipe = await accepted.promise
    const gone = closed(pipe)
    socket.resetAndDestroy()
    expect(await gone).toMatchObject({ code: 'ECONNRESET' })
  })

  it('calls nobody while paused, and loses nothing', async () => {
    const { client, server } = await pair()
    let got = 0
    server.onData = (bytes) => {
      got += bytes.length
    }
    server.pause()
    client.write(Buffer.alloc(100_000))
    await new Promise((fulfil) => setTimeout(fulfil, 30))
    server.resume()
    server.pause()
    await new Promise((fulfil) => setTimeout(fulfil, 30))
    const early = got
    await new Promise((fulfil) => setTimeout(fulfil, 30))
    expect(got).toBe(early)
    server.resume()
    await until(() => got === 100_000)
  })

  it('can be paused from within onData', async () => {
    const { client, server } = await pair()
    const seen: number[] = []
    server.onData = (bytes) => {
      seen.push(bytes.length)
      server.pause()
    }
    client.write(Buffer.alloc(3 * LIMITS.readBytes))
    await until(() => seen.length === 1)
    await new Promise((fulfil) => setTimeout(fulfil, 30))
    expect(seen).toHaveLength(1)
    while (seen.reduce((a, b) => a + b, 0) < 3 * LIMITS.readBytes) {
      const before = seen.length
      server.resume()
      await until(() => seen.length > before)
      expect(seen).toHaveLength(before + 1)
    }
  })

  it('bounds what waits for a slow reader, and goes on when the reader does', async () => {
    const { client, server } = await pair()
    client.pause()
    const chunk = Buffer.alloc(64 * 1024, 7)
    let sent = 0
    let drains = 0
    const total = 64 * 1024 * 1024
    const produce = (): void => {
      while (sent < total) {
        sent += chunk.length
        if (!server.write(chunk)) return
      }
      server.end()
    }
    server.onDrain = () => {
      drains++
      produce()
    }
    produce()
    await new Promise((fulfil) => setTimeout(fulfil, 100))
    // What the kernel holds is the kernel's; what we hold is bounded.
    expect(server.queuedBytes).toBeGreaterThan(0)
    expect(server.queuedBytes).toBeLessThanOrEqual(LIMITS.outboxBytesMax + chunk.length)
    expect(sent).toBeLessThan(total)
    let got = 0
    const done = new Promise<void>((fulfil) => {
      client.onEnd = fulfil
    })
    client.onData = (bytes) => {
      got += bytes.length
    }
    client.resume()
    await done
    expect(got).toBe(total)
    expect(drains).toBeGreaterThan(0)
  })

  it('gives the others their turn while one peer sends without end', async () => {
    const { client, server } = await pair()
    const flood = Buffer.alloc(1024 * 1024)
    const produce = (): void => {
      while (client.write(flood));
    }
    client.onDrain = produce
    let turnBytes = 0
    let most = 0
    let total = 0
    server.onData = (bytes) => {
      turnBytes += bytes.length
      total += bytes.length
      most = Math.max(most, turnBytes)
    }
    produce()
    while (total < 50 * flood.length) {
      await new Promise((fulfil) => setImmediate(fulfil))
      turnBytes = 0
    }
    client.destroy()
    expect(most).toBeLessThanOrEqual(LIMITS.turnBytesMax + LIMITS.readBytes)
  })

  it('is ended by a handler that throws, and takes nobody with it', async () => {
    for (const handler of ['onData', 'onEnd', 'onDrain'] as const) {
      const { client, server } = await pair()
      server[handler] = () => {
        throw new Error(`${handler} failed`)
      }
      const gone = closed(server)
      if (handler === 'onDrain') {
        server.write(Buffer.alloc(8 * LIMITS.outboxBytesMax))
      } else {
        client.end(handler === 'onData' ? Buffer.from('x') : undefined)
      }
      expect((await gone)?.message).toBe(`${handler} failed`)
    }
  })

  it('works by events when the handle of an accepted socket cannot be had', async () => {
    const accepted = Promise.withResolvers<Socket>()
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      Object.defineProperty(socket, '_handle', {
        get: () => undefined,
        set: () => {
          // Out of reach.
        },
      })
      accepted.resolve(socket)
    })
    await new Promise<void>((fulfil) => server.listen(0, '127.0.0.1', fulfil))
    const address = server.address()
    const socket = netConnect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1')
    await accepted.promise
    // Without a handle node cannot read either; the point is that nothing throws and the pipe is whole.
    const pipe = acceptedPipe(await accepted.promise)
    expect(pipe.queuedBytes).toBe(0)
    socket.destroy()
    server.close()
  })
})

describe('a listener', () => {
  it('cuts a thousand sockets that never speak at the deadline, and serves whoever does', async () => {
    const cuts: string[] = []
    let accepted = 0
    const listener = await listening(
      ({ pipe, admitted }) => {
        accepted++
        pipe.onData = () => {
          admitted()
          pipe.write(Buffer.from('welcome'))
        }
      },
      { handshakeMs: 700 },
      (why) => cuts.push(why),
    )
    const silent: Socket[] = []
    let gone = 0
    for (let i = 0; i < 1000; i++) {
      const socket = netConnect(listener.port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.on('end', () => undefined)
      socket.on('close', () => gone++)
      socket.resume()
      silent.push(socket)
    }
    await until(() => accepted === 1000)
    const speaker = await dialled(listener.port)
    const welcomed = new Promise<string>((fulfil) => {
      speaker.onData = (bytes) => fulfil(bytes.toString())
    })
    speaker.write(Buffer.from('hello'))
    expect(await welcomed).toBe('welcome')
    await until(() => gone === 1000)
    expect(cuts).toEqual(Array.from({ length: 1000 }, () => 'deadline'))
    expect(listener.live).toBe(1)
    speaker.destroy()
    await until(() => listener.live === 0)
  })

  it('bounds the sockets of one source that have not proved themselves, and counts no other', async () => {
    const cuts: string[] = []
    const accepted: Accepted[] = []
    const listener = await listening(
      (each) => accepted.push(each),
      { handshakesPerSourceMax: 2 },
      (why) => cuts.push(why),
    )
    await Promise.all([dialled(listener.port), dialled(listener.port)])
    await until(() => accepted.length === 2)
    await closed(await dialled(listener.port))
    expect(cuts).toEqual(['source'])
    accepted[0]?.admitted()
    accepted[0]?.admitted()
    await dialled(listener.port)
    await until(() => accepted.length === 3)
    await closed(await dialled(listener.port))
    expect(cuts).toEqual(['source', 'source'])
    expect(listener.live).toBe(3)
  })

  it('bounds its sockets in total, admitted ones included', async () => {
    const cuts: string[] = []
    const listener = await listening(
      ({ admitted }) => admitted(),
      { socketsMax: 2 },
      (why) => cuts.push(why),
    )
    const [first] = await Promise.all([dialled(listener.port), dialled(listener.port)])
    await until(() => listener.live === 2)
    await closed(await dialled(listener.port))
    expect(cuts).toEqual(['sockets'])
    first.destroy()
    await until(() => listener.live === 1)
    await dialled(listener.port)
    await until(() => listener.live === 2)
  })

  it('stops accepting on close, keeps what is open, and says when it has drained', async () => {
    const accepted: Accepted[] = []
    const listener = await listening((each) => accepted.push(each))
    const client = await dialled(listener.port)
    await until(() => accepted.length === 1)
    expect(listener.close()).toBe(1)
    await expect(dialled(listener.port)).rejects.toMatchObject({ code: 'upstream_unreachable' })
    let drained = false
    const drain = listener.drained().then(() => {
      drained = true
    })
    accepted[0]?.pipe.write(Buffer.from('still here'))
    await new Promise<void>((fulfil) => {
      client.onData = () => fulfil()
    })
    expect(drained).toBe(false)
    client.destroy()
    await drain
    expect(listener.live).toBe(0)
  })

  it('hands out sockets as node made them, under the same limits', async () => {
    const cuts: string[] = []
    const listener = await listen({
      address: '127.0.0.1',
      port: 0,
      limits: { handshakeMs: 100 },
      onCut: (why) => cuts.push(why),
      onSocket(socket, admitted) {
        socket.on('data', (bytes: Buffer) => {
          admitted()
          socket.end(bytes)
        })
      },
    })
    open.push(listener)
    const client = await dialled(listener.port)
    const answer = collected(client)
    client.write(Buffer.from('echo'))
    expect(await answer).toBe('echo')
    await closed(await dialled(listener.port))
    expect(cuts).toEqual(['deadline'])
  })

  it('refuses an address that is taken', async () => {
    const listener = await listening(() => undefined)
    await expect(
      listen({ address: '127.0.0.1', port: listener.port, onPipe: () => undefined }),
    ).rejects.toMatchObject({ code: 'conflict' })
  })

  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::1', '0:0:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    [undefined, ''],
  ])('counts %s as the source %s', (address, source) => expect(sourceOf(address)).toBe(source))
})

describe('dialling', () => {
  it('says who refused, and nothing else', async () => {
    const server = createServer()
    await new Promise<void>((fulfil) => server.listen(0, '127.0.0.1', fulfil))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await new Promise<void>((fulfil) => server.close(() => fulfil()))
    const failure = await dialled(port).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(GatewayError)
    expect(failure).toMatchObject({
      code: 'upstream_unreachable',
      message: `The upstream 127.0.0.1:${port} refused the connection.`,
      retry: 'later',
    })
  })

  it('tries every address of a name', async () => {
    // Listens on IPv4 only; `localhost` may well be ::1 first.
    const listener = await listening(({ pipe }) => pipe.write(Buffer.from('here')))
    const pipe = await dial({ host: 'localhost', port: listener.port, timeoutMs: 5_000 })
    expect(pipe.remote).toEqual({ address: '127.0.0.1', port: listener.port })
    pipe.destroy()
  })

  it('gives up in time when nobody answers', async () => {
    // A listener whose backlog is full answers nothing: the kernel drops the SYN.
    const server = createServer()
    await new Promise<void>((fulfil) => server.listen({ port: 0, host: '127.0.0.1', backlog: 0 }, fulfil))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const controller = new AbortController()
    const aborted = dial({ host: '127.0.0.1', port, timeoutMs: 5_000, signal: controller.signal })
    controller.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'upstream_unreachable' })
    await expect(
      dial({ host: '127.0.0.1', port, timeoutMs: 5_000, signal: controller.signal }),
    ).rejects.toMatchObject({ code: 'upstream_unreachable' })
    server.close()
  })

  it('reaches a Unix socket by its directory, as libpq does', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-net-'))
    const server = createServer((socket) => socket.end('over unix'))
    await new Promise<void>((fulfil) => server.listen(join(directory, '.s.PGSQL.5432'), fulfil))
    const pipe = await dial({ host: directory, port: 5432, timeoutMs: 1_000 })
    expect(await collected(pipe)).toBe('over unix')
    pipe.destroy()
    server.close()
    await expect(dial({ host: directory, port: 5433, timeoutMs: 1_000 })).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: `The upstream ${directory} (port 5433) has no such socket.`,
    })
    await rm(directory, { recursive: true })
  })

  it('says when a name cannot be resolved', async () => {
    await expect(dial({ host: 'nowhere.invalid', port: 1, timeoutMs: 5_000 })).rejects.toMatchObject({
      code: 'upstream_unreachable',
    })
  })
})
