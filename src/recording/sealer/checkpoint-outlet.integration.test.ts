import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { GatewayError } from '../../core/index.ts'
import {
  formatVerifierKey,
  nodeEd25519,
  openCheckpoint,
  treeHasher,
  nodeSha256,
  Witness,
} from '../../evidence/index.ts'
import { FakeClock } from '../../testing/fake-clock.ts'
import { memoryDirectory } from '../../testing/faulty-files.ts'
import { MemoryWitnessStorage } from '../../testing/memory-witness-storage.ts'
import { keyOf, openLog } from '../../testing/witnessed-log.ts'
import { CheckpointOutlet, type OutletPorts, postCheckpoint } from './checkpoint-outlet.ts'
import { type LogSettings, NO_LOG_SETTINGS } from './settings.ts'

const signer = keyOf('gateway.example/log', 1)
const witnessKey = keyOf('witness.example/w', 2, 'cosignature')
let directory: string
let clock: FakeClock
let faults: string[]
let posted: string[]
let printed: string[]
let witnessed: (readonly string[])[]
let witnessDown: boolean
let outlets: CheckpointOutlet[]

beforeEach(() => {
  directory = mkdtempSync(join(memoryDirectory(), 'sluice-outlet-'))
  clock = new FakeClock()
  faults = []
  posted = []
  printed = []
  witnessed = []
  witnessDown = false
  outlets = []
})
afterEach(async () => {
  for (const each of outlets) await each.stop()
  rmSync(directory, { recursive: true, force: true })
})

function start(settings: Partial<LogSettings>, ports: Partial<OutletPorts> = {}): CheckpointOutlet {
  const witness = new Witness({
    logs: [signer.key],
    signer: witnessKey,
    storage: new MemoryWitnessStorage(),
    hasher: treeHasher(nodeSha256),
    ed25519: nodeEd25519,
    clock,
    onContradiction: () => expect.fail('contradicted'),
  })
  const outlet = new CheckpointOutlet(
    {
      clock,
      witnessPost: () => async (body) => {
        if (witnessDown)
          throw new GatewayError('upstream_unreachable', 'The witness does not answer.', { retry: 'later' })
        const answer = await witness.addCheckpoint(body)
        return { status: answer.status, mediaType: answer.mediaType, body: Buffer.from(answer.body) }
      },
      post: async (_url, checkpoint) => void posted.push(Buffer.from(checkpoint).toString('utf8')),
      print: (text) => void printed.push(text),
      onFault: (error) => void faults.push(error instanceof Error ? error.message : String(error)),
      onWitnessed: (cosigned, failed) =>
        void witnessed.push([...cosigned, ...failed.map((each) => `!${each}`)]),
      ...ports,
    },
    { ...NO_LOG_SETTINGS, ...settings },
  )
  outlets.push(outlet)
  return outlet
}

const witnesses = [{ url: 'http://witness.example', key: formatVerifierKey(witnessKey.key) }]

/** A log that hands each checkpoint to the outlet. */
async function log(outlet: CheckpointOutlet) {
  const { writer, grow } = await openLog(signer)
  const kept: Uint8Array[] = []
  return {
    kept,
    async grow(count: number): Promise<void> {
      await grow(count)
      const { head } = writer
      if (head === undefined) return
      outlet.signed({
        signed: head.signed,
        reader: writer.reader(),
        async keepCosigned(signed) {
          await writer.keepCosigned(signed)
          kept.push(signed)
        },
      })
    },
  }
}

test('each round asks the witnesses with the newest checkpoint, and keeps what they sign', async () => {
  const outlet = start({ witnesses })
  const { kept, grow } = await log(outlet)
  await grow(3)
  await grow(2)
  clock.advance(0)
  await expect.poll(() => kept.length).toBe(1)
  await grow(4)
  await expect.poll(() => clock.waiting).toBeGreaterThan(0)
  clock.advance(1_000)
  await expect.poll(() => kept.length).toBe(2)
  for (const [at, size] of [5, 9].entries()) {
    const opened = await openCheckpoint(nodeEd25519, kept[at] ?? new Uint8Array(), {
      origin: signer.key.name,
      logKeys: [signer.key],
      witnessKeys: [witnessKey.key],
    })
    expect(opened.checkpoint.size).toBe(size)
    expect(opened.witnesses).toHaveLength(1)
  }
  expect(witnessed).toEqual([['witness.example/w'], ['witness.example/w']])
  expect(faults).toEqual([])
})

test('a witness that is down is told of once, and asked until it answers', async () => {
  witnessDown = true
  const outlet = start({ witnesses })
  const { kept, grow } = await log(outlet)
  await grow(3)
  for (let round = 1; round <= 3; round++) {
    await expect.poll(() => clock.waiting).toBeGreaterThan(0)
    clock.advance(1_000)
    await expect.poll(() => witnessed.length).toBe(round)
  }
  expect(faults).toEqual(['The witness does not answer.'])
  expect(kept).toEqual([])
  witnessDown = false
  await expect.poll(() => clock.waiting).toBeGreaterThan(0)
  clock.advance(1_000)
  await expect.poll(() => kept.length).toBe(1)
})

test('checkpoints are published to each place, the newest at most once in a while', async () => {
  const file = join(directory, 'checkpoint')
  const publish = { file, url: 'http://elsewhere.example', stdout: true, everyMs: 10_000 }
  const outlet = start({ publish })
  const { grow } = await log(outlet)
  await grow(1)
  clock.advance(0)
  await expect.poll(() => printed.length).toBe(1)
  await grow(1)
  await grow(1)
  await expect.poll(() => clock.waiting).toBeGreaterThan(0)
  clock.advance(9_999)
  expect(printed).toHaveLength(1)
  clock.advance(1)
  await expect.poll(() => printed.length).toBe(2)
  expect(printed.map((text) => text.split('\n')[1])).toEqual(['1', '3'])
  expect(posted).toEqual(printed)
  expect(readFileSync(file, 'utf8')).toBe(printed[1])
})

test('a place that does not work is told of once, and does not keep the others from theirs', async () => {
  const publish = {
    file: join(directory, 'none', 'checkpoint'),
    url: undefined,
    stdout: true,
    everyMs: 1_000,
  }
  const outlet = start({ publish })
  const { grow } = await log(outlet)
  for (let n = 1; n <= 3; n++) {
    await grow(1)
    await expect.poll(() => clock.waiting).toBeGreaterThan(0)
    clock.advance(1_000)
    await expect.poll(() => printed.length).toBe(n)
  }
  expect(faults).toEqual([expect.stringMatching(/cannot be published to .*checkpoint \(ENOENT\)/)])
})

test('with witnesses, what is published carries their signatures as soon as there are any', async () => {
  const publish = { file: undefined, url: undefined, stdout: true, everyMs: 1_000 }
  const outlet = start({ witnesses, publish })
  const { kept, grow } = await log(outlet)
  await grow(1)
  clock.advance(0)
  await expect.poll(() => kept.length).toBe(1)
  await expect
    .poll(() => {
      clock.advance(1_000)
      return printed.at(-1) ?? ''
    })
    .toContain('— witness.example/w ')
})

test('posting says what the other side answered', async () => {
  const got: string[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    request.on('end', () => {
      got.push(`${request.method} ${request.headers['content-type']} ${body}`)
      response.writeHead(request.url === '/no' ? 500 : 204).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await postCheckpoint(`${url}/yes`, Buffer.from('a checkpoint'))
  expect(got).toEqual(['POST text/plain; charset=utf-8 a checkpoint'])
  await expect(postCheckpoint(`${url}/no`, Buffer.from('x'))).rejects.toThrow(/answered 500 to a checkpoint/)
  await new Promise((resolve) => server.close(resolve))
  await expect(postCheckpoint(`${url}/yes`, Buffer.from('x'))).rejects.toThrow(/does not take a checkpoint/)
})
