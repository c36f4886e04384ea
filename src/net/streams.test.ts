import * as fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { seed, tally, times } from '../../test/support/proof.ts'
import { LIMITS } from '../core/index.ts'
import type { Pipe } from '../core/index.ts'
import { createHash } from 'node:crypto'
import { createCertificates, dial, listen, secureClient, secureServer } from './index.ts'
import type { Certificates } from './index.ts'

/** What both ends do, one thing after another, each a little after the one before or at once. */
const deeds = fc.array(
  fc.record({
    end: fc.constantFrom('client' as const, 'server' as const),
    what: fc.constantFrom('write' as const, 'write' as const, 'pause' as const, 'resume' as const),
    bytes: fc.oneof(
      fc.integer({ min: 1, max: 300 }),
      fc.constantFrom(LIMITS.readBytes, 3 * LIMITS.readBytes + 1, LIMITS.turnBytesMax + 7),
    ),
    wait: fc.boolean(),
  }),
  { maxLength: 25 },
)

let certificates: Certificates
beforeAll(async () => {
  certificates = await createCertificates({ names: ['localhost'], now: Date.now() })
})

async function connected(encrypted: boolean): Promise<{ client: Pipe; server: Pipe; close: () => void }> {
  const accepted = Promise.withResolvers<Pipe>()
  const listener = await listen({
    address: '127.0.0.1',
    port: 0,
    onPipe({ pipe, admitted }) {
      admitted()
      if (!encrypted) {
        accepted.resolve(pipe)
        return
      }
      pipe.onData = (bytes) => {
        secureServer(pipe, certificates, bytes).then(accepted.resolve, accepted.reject)
      }
    },
  })
  const plain = await dial({ host: '127.0.0.1', port: listener.port, timeoutMs: 5_000 })
  const client = encrypted ? await secureClient(plain, { verify: 'none', servername: 'localhost' }) : plain
  return { client, server: await accepted.promise, close: () => listener.destroy() }
}

/** Counts and hashes what comes in, and complains about what comes in while paused. */
class Witness {
  readonly #hash = createHash('sha256')
  bytes = 0
  paused = false
  readonly ended: Promise<void>

  constructor(pipe: Pipe) {
    pipe.onData = (bytes) => {
      if (this.paused) throw new Error('onData while paused')
      this.#hash.update(bytes)
      this.bytes += bytes.length
    }
    this.ended = new Promise((fulfil, reject) => {
      pipe.onEnd = fulfil
      pipe.onClose = (error) => (error === undefined ? fulfil() : reject(error))
    })
  }

  get digest(): string {
    return this.#hash.digest('hex')
  }
}

describe.each([
  ['plain', false],
  ['encrypted', true],
])('a pipe that is %s', (_, encrypted) => {
  it('delivers every byte once and in order, whatever is paused and resumed meanwhile', async () => {
    const numRuns = times({ small: 50, full: 5_000 })
    await fc.assert(
      fc.asyncProperty(deeds, async (all) => {
        const { client, server, close } = await connected(encrypted)
        const pipes = { client, server }
        const seen = { client: new Witness(client), server: new Witness(server) }
        const sent = { client: createHash('sha256'), server: createHash('sha256') }
        let counter = 0
        for (const { end, what, bytes, wait } of all) {
          if (what === 'write') {
            const chunk = Buffer.alloc(bytes, (counter++ % 250) + 1)
            sent[end].update(chunk)
            pipes[end].write(chunk)
          } else {
            seen[end].paused = what === 'pause'
            pipes[end][what]()
          }
          if (wait) await new Promise((fulfil) => setImmediate(fulfil))
        }
        for (const end of ['client', 'server'] as const) {
          seen[end].paused = false
          pipes[end].resume()
          pipes[end].end()
        }
        await Promise.all([seen.client.ended, seen.server.ended])
        expect(seen.client.digest).toBe(sent.server.digest('hex'))
        expect(seen.server.digest).toBe(sent.client.digest('hex'))
        close()
      }),
      { numRuns, seed },
    )
    tally('conversations', numRuns)
  })

  it('keeps a bounded amount for a reader that has stopped (P-10)', async () => {
    const { client, server, close } = await connected(encrypted)
    client.pause()
    const before = process.memoryUsage().rss
    const chunk = Buffer.alloc(LIMITS.readBytes, 1)
    let sent = 0
    const produce = (): void => {
      while (sent < 256 * 1024 * 1024) {
        sent += chunk.length
        if (!server.write(Buffer.from(chunk))) return
      }
    }
    server.onDrain = produce
    produce()
    await new Promise((fulfil) => setTimeout(fulfil, 300))
    expect(server.queuedBytes).toBeLessThanOrEqual(LIMITS.outboxBytesMax + chunk.length)
    expect(process.memoryUsage().rss - before).toBeLessThan(48 * 1024 * 1024)
    close()
    client.destroy()
  })
})
