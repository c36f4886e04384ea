import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Clock } from '../../core/index.ts'
import { MemoryWitnessStorage } from '../../testing/memory-witness-storage.ts'
import { keyOf, openLog } from '../../testing/witnessed-log.ts'
import {
  LogReader,
  nodeEd25519,
  nodeSha256,
  openCheckpoint,
  treeHasher,
  Witness,
  WitnessClient,
  type WitnessStorage,
  WitnessState,
  collectCosignatures,
} from '../index.ts'
import { formatAddCheckpoint, parseAddCheckpoint } from './messages.ts'

const hasher = treeHasher(nodeSha256)
const log = keyOf('log.example/a', 1)
const signer = keyOf('witness.example/w', 2, 'cosignature')
const origin = log.key.name
const NOW = 1_700_000_000
const clock: Clock = { now: () => NOW * 1_000 + 999, after: () => ({ cancel: () => {} }) }
const place = mkdtempSync(join(tmpdir(), 'sluice-witness-'))
const opened: WitnessState[] = []

afterAll(() => {
  for (const each of opened) each.close()
  rmSync(place, { recursive: true, force: true })
})

type Kept = WitnessStorage & { contradictions(origin: string): readonly Uint8Array[] }

function sqlite(): Kept {
  const state = new WitnessState(mkdtempSync(join(place, 'state-')))
  opened.push(state)
  return state
}

function witnessOn(storage: WitnessStorage, contradicted: string[] = []): Witness {
  return new Witness({
    logs: [log.key],
    signer,
    storage,
    hasher,
    ed25519: nodeEd25519,
    clock,
    onContradiction: (name, size) => contradicted.push(`${name} ${size}`),
  })
}

const hashes = (count: number) => Array.from({ length: count }, (_, i) => new Uint8Array(32).fill(i))

describe.each([
  ['in memory', (): Kept => new MemoryWitnessStorage()],
  ['in SQLite', sqlite],
] as const)('what a witness must not forget, %s', (_name, open) => {
  const state = (size: number, fill = size) => ({
    size,
    root: new Uint8Array(32).fill(fill),
    signed: new Uint8Array([fill]),
  })

  it('advances only from where it is, one origin at a time', async () => {
    const storage = open()
    expect(await storage.latest('a')).toBeUndefined()
    expect(await storage.advance('a', 0, state(3))).toBe(false)
    expect(await storage.advance('a', undefined, state(0))).toBe(true)
    expect(await storage.advance('a', undefined, state(9))).toBe(false)
    expect(await storage.advance('a', 0, state(5))).toBe(true)
    expect(await storage.advance('a', 0, state(3))).toBe(false)
    expect(await storage.advance('b', 5, state(6))).toBe(false)
    expect(await storage.latest('a')).toMatchObject({ size: 5 })
    expect(await storage.latest('b')).toBeUndefined()
    expect(await storage.advance('a', 5, state(Number.MAX_SAFE_INTEGER, 7))).toBe(true)
    expect(await storage.latest('a')).toEqual(state(Number.MAX_SAFE_INTEGER, 7))
    await storage.keepContradiction('a', new Uint8Array([1]))
    expect(storage.contradictions('a')).toHaveLength(1)
    expect(storage.contradictions('b')).toHaveLength(0)
  })
})

describe('the state in SQLite', () => {
  it('is there for the next process, and keeps no more contradictions than it may', async () => {
    const directory = mkdtempSync(join(place, 'state-'))
    const [one, two] = [new WitnessState(directory), new WitnessState(directory)]
    opened.push(one, two)
    const next = { size: 1, root: new Uint8Array(32), signed: new Uint8Array(1) }
    expect([await one.advance('a', undefined, next), await two.advance('a', undefined, next)]).toEqual([
      true,
      false,
    ])
    expect(await two.latest('a')).toMatchObject({ size: 1 })
    for (let i = 0; i < 120; i++) await one.keepContradiction('a', new Uint8Array([i]))
    await one.keepContradiction('a', new Uint8Array([3]))
    expect(two.contradictions('a')).toHaveLength(100)
  })
})

describe('a request to a witness', () => {
  const request = { oldSize: 20852014, proof: hashes(4), signed: new Uint8Array(Buffer.from('a\n\nb\n')) }

  it('is read as it was written', () => {
    expect(parseAddCheckpoint(formatAddCheckpoint(request))).toEqual(request)
    const text = Buffer.from(formatAddCheckpoint({ ...request, proof: hashes(1) })).toString()
    expect(text).toBe('old 20852014\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\na\n\nb\n')
    expect(parseAddCheckpoint(formatAddCheckpoint({ ...request, proof: hashes(63) })).proof).toHaveLength(63)
  })

  it.each([
    ['nothing', ''],
    ['no old size', `\n\na\n`],
    ['another word', 'new 1\n\na\n'],
    ['a leading zero', 'old 01\n\na\n'],
    ['a negative size', 'old -1\n\na\n'],
    ['two spaces', 'old  1\n\na\n'],
    ['a carriage return', 'old 1\r\n\r\na\n'],
    ['a short hash', 'old 1\nAAAA\n\na\n'],
    ['64 hashes', Buffer.from(formatAddCheckpoint({ ...request, proof: hashes(64) })).toString()],
    ['no empty line', 'old 1\na\n'],
  ])('is none with %s', (_what, text) => {
    expect(() => parseAddCheckpoint(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'invalid' }))
  })
})

describe('a witness', () => {
  async function ask(witness: Witness, oldSize: number, signed: Uint8Array, prover?: LogReader) {
    const proof = prover === undefined ? [] : await prover.consistencyProof(oldSize)
    return witness.addCheckpoint(formatAddCheckpoint({ oldSize, proof, signed }))
  }

  it('cosigns what only grew, with the time in whole seconds (P-06)', async () => {
    const witness = witnessOn(new MemoryWitnessStorage())
    const { writer, grow } = await openLog(log)
    let old = 0
    for (const count of [1, 4, 300, 0]) {
      const signed = await grow(count)
      const answer = await ask(witness, old, signed, writer.reader())
      expect(answer).toMatchObject({ status: 200, mediaType: 'text/plain; charset=utf-8' })
      const both = Buffer.concat([signed, Buffer.from(answer.body)])
      const known = { origin, logKeys: [log.key], witnessKeys: [signer.key] }
      const { witnesses, checkpoint } = await openCheckpoint(nodeEd25519, both, known)
      expect(witnesses).toEqual([{ key: signer.key, timestamp: NOW }])
      old = checkpoint.size
    }
  })

  it('says why not, as the specification numbers it, and stores nothing then', async () => {
    const storage = new MemoryWitnessStorage()
    const contradicted: string[] = []
    const witness = witnessOn(storage, contradicted)
    const { writer, grow } = await openLog(log)
    const first = await grow(5)
    await ask(witness, 0, first)
    const before = await storage.latest(origin)
    const second = await grow(3)
    const reader = writer.reader()
    const stranger = await openLog(keyOf('log.example/b', 1))
    const thief = await openLog(keyOf(origin, 7))
    const fork = await openLog(log, 'other ')
    const forked = await fork.grow(5)

    const text = (signed: Uint8Array) => Buffer.from(signed).toString()
    expect((await witness.addCheckpoint(Buffer.from('old 0\n\nnothing'))).status).toBe(400)
    expect((await ask(witness, 5, Buffer.from(text(second).replace('\n8\n', '\n08\n')))).status).toBe(400)
    expect((await ask(witness, 9, second)).status).toBe(400)
    expect((await ask(witness, 0, await stranger.grow(1))).status).toBe(404)
    expect((await ask(witness, 5, await thief.grow(8))).status).toBe(403)
    expect((await ask(witness, 5, Buffer.from(text(second).replace('\n8\n', '\n9\n')))).status).toBe(403)
    const conflict = { status: 409, mediaType: 'text/x.tlog.size', body: '5\n' }
    expect(await ask(witness, 0, second)).toEqual(conflict)
    expect(await ask(witness, 4, second, reader)).toEqual(conflict)
    expect(await ask(witness, 8, second)).toEqual(conflict)
    const fewer = await (await openLog(log)).grow(4)
    expect(await ask(witness, 4, fewer)).toEqual(conflict)
    expect(contradicted).toEqual([])
    expect(await ask(witness, 5, forked)).toEqual(conflict)
    expect(contradicted).toEqual([`${origin} 5`])
    expect(storage.contradictions(origin)).toEqual([forked])
    expect((await ask(witness, 5, second)).status).toBe(422)
    await fork.grow(3)
    const other = await fork.writer.reader().consistencyProof(5)
    const answer = witness.addCheckpoint(formatAddCheckpoint({ oldSize: 5, proof: other, signed: second }))
    expect((await answer).status).toBe(422)
    const proof = [...(await reader.consistencyProof(5)), new Uint8Array(32)]
    const longer = witness.addCheckpoint(formatAddCheckpoint({ oldSize: 5, proof, signed: second }))
    expect((await longer).status).toBe(422)

    expect(await storage.latest(origin)).toEqual(before)
    expect((await ask(witness, 5, second, reader)).status).toBe(200)
  })

  it('takes no proof from nothing, and only the empty tree for no entries', async () => {
    const witness = witnessOn(new MemoryWitnessStorage())
    const { grow } = await openLog(log)
    const signed = await grow(2)
    const withProof = formatAddCheckpoint({ oldSize: 0, proof: hashes(1), signed })
    expect((await witness.addCheckpoint(withProof)).status).toBe(422)
    const empty = await (await openLog(log)).grow(0)
    expect((await ask(witness, 0, empty)).status).toBe(200)
    expect((await ask(witness, 0, signed)).status).toBe(200)
  })

  it.each([
    ['in memory', () => new MemoryWitnessStorage()],
    ['in SQLite', sqlite],
  ])('never goes back when the smaller of two requests is stored last: %s (P-06)', async (_where, open) => {
    const storage: WitnessStorage = open()
    const { writer, grow } = await openLog(log)
    expect((await ask(witnessOn(storage), 0, await grow(2))).status).toBe(200)
    const smaller = await grow(3)
    const proverOfSmaller = writer.reader()
    const larger = await grow(3)
    // Both requests have been checked against the same state; now the larger one is stored, then the smaller one.
    const [checkedSmaller, checkedLarger] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const goSmaller = Promise.withResolvers<void>()
    const slow: WitnessStorage = {
      latest: (name) => storage.latest(name),
      keepContradiction: (name, signed) => storage.keepContradiction(name, signed),
      async advance(name, before, next) {
        if (next.size === 5) {
          checkedSmaller.resolve()
          await goSmaller.promise
        } else checkedLarger.resolve()
        return storage.advance(name, before, next)
      },
    }
    const witness = witnessOn(slow)
    const askedSmaller = ask(witness, 2, smaller, proverOfSmaller)
    await checkedSmaller.promise
    const askedLarger = ask(witness, 2, larger, writer.reader())
    await checkedLarger.promise
    expect((await askedLarger).status).toBe(200)
    goSmaller.resolve()
    expect(await askedSmaller).toEqual({ status: 409, mediaType: 'text/x.tlog.size', body: '8\n' })
    expect(await storage.latest(origin)).toMatchObject({ size: 8, signed: larger })
  })

  it('hands out nothing that it could not store, and stores nothing that it could not sign', async () => {
    const signed = await (await openLog(log)).grow(2)
    const full: WitnessStorage = {
      latest: async () => undefined,
      advance: () => Promise.reject(new Error('disk full')),
      keepContradiction: async () => {},
    }
    await expect(ask(witnessOn(full), 0, signed)).rejects.toThrow('disk full')
    const storage = new MemoryWitnessStorage()
    const options = { logs: [log.key], storage, hasher, ed25519: nodeEd25519, clock, onContradiction() {} }
    const broken = { key: signer.key, sign: () => Promise.reject(new Error('no key')) }
    await expect(ask(new Witness({ ...options, signer: broken }), 0, signed)).rejects.toThrow('no key')
    expect(await storage.latest(origin)).toBeUndefined()
    expect(() => new Witness({ ...options, signer, logs: [signer.key] })).toThrow(
      'of a witness, not of a log',
    )
  })
})

describe('a log that asks witnesses', () => {
  const plain = 'text/plain'
  const reply = (status: number, body = '', mediaType = plain) => ({
    status,
    mediaType,
    body: new Uint8Array(Buffer.from(body)),
  })

  function peerOf(witness: Witness, key = signer.key) {
    const asked: number[] = []
    return {
      asked,
      key,
      async post(body: Uint8Array) {
        asked.push(parseAddCheckpoint(body).oldSize)
        const answer = await witness.addCheckpoint(body)
        return { ...answer, body: new Uint8Array(Buffer.from(answer.body)) }
      },
    }
  }

  it('asks from where the witness is, and learns that once', async () => {
    const witness = witnessOn(new MemoryWitnessStorage())
    const { writer, grow } = await openLog(log)
    const before = new WitnessClient(nodeEd25519, peerOf(witness))
    await before.cosign(await grow(7), writer.reader())
    // A gateway that was started again knows nothing of it.
    const peer = peerOf(witness)
    const client = new WitnessClient(nodeEd25519, peer)
    for (const count of [300, 1]) await client.cosign(await grow(count), writer.reader())
    expect(peer.asked).toEqual([0, 7, 307])
  })

  it('adds what came to the checkpoint, and says who failed', async () => {
    const { writer, grow } = await openLog(log)
    const signed = await grow(3)
    const good = new WitnessClient(nodeEd25519, peerOf(witnessOn(new MemoryWitnessStorage())))
    const silent = keyOf('silent.example', 4, 'cosignature').key
    const bad = new WitnessClient(nodeEd25519, { key: silent, post: async () => reply(503) })
    const collected = await collectCosignatures([bad, good], signed, writer.reader())
    expect(collected.cosigned).toEqual([signer.key.name])
    expect(collected.failed).toMatchObject([
      { witness: 'silent.example', error: { code: 'upstream_unreachable', retry: 'later' } },
    ])
    const known = { origin, logKeys: [log.key], witnessKeys: [signer.key, silent] }
    const { witnesses } = await openCheckpoint(nodeEd25519, collected.signed, known)
    expect(witnesses.map(({ key }) => key.name)).toEqual([signer.key.name])
    await writer.keepCosigned(collected.signed)
  })

  it('notices that it was forked or put back', async () => {
    const witness = witnessOn(new MemoryWitnessStorage())
    const first = await openLog(log)
    await new WitnessClient(nodeEd25519, peerOf(witness)).cosign(await first.grow(9), first.writer.reader())
    const again = new WitnessClient(nodeEd25519, peerOf(witness))
    const older = await openLog(log)
    await expect(again.cosign(await older.grow(4), older.writer.reader())).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('has cosigned 9 entries of this log, which has 4'),
    })
    const fork = await openLog(log, 'other ')
    const same = again.cosign(await fork.grow(9), fork.writer.reader())
    await expect(same).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('another tree'),
    })
    const longer = again.cosign(await fork.grow(2), fork.writer.reader())
    await expect(longer).rejects.toMatchObject({ code: 'denied', facts: { status: 422 } })
  })

  it.each([
    ['no signature', () => reply(200, ''), 'invalid'],
    ['a line that is none', () => reply(200, 'thank you\n'), 'invalid'],
    ['a signature of somebody else', () => reply(200, '— somebody.else AAAAAAAAAAA=\n'), 'invalid'],
    ['a conflict without a size', () => reply(409, 'no', 'text/x.tlog.size'), 'invalid'],
    ['a conflict of another kind', () => reply(409, '3\n'), 'invalid'],
    ['a redirect', () => reply(302), 'upstream_unreachable'],
    ['that it does not know the log', () => reply(404), 'denied'],
  ])('believes no answer with %s', async (_what, answer, code) => {
    const { writer, grow } = await openLog(log)
    const client = new WitnessClient(nodeEd25519, { key: signer.key, post: async () => answer() })
    await expect(client.cosign(await grow(2), writer.reader())).rejects.toMatchObject({ code })
  })

  it('believes no cosignature of another checkpoint, and asks three times at most', async () => {
    const { writer, grow } = await openLog(log)
    const witness = witnessOn(new MemoryWitnessStorage())
    const earlier = await witness.addCheckpoint(
      formatAddCheckpoint({ oldSize: 0, proof: [], signed: await grow(2) }),
    )
    const stale = { key: signer.key, post: async () => reply(200, earlier.body) }
    const next = await grow(2)
    const client = new WitnessClient(nodeEd25519, stale)
    await expect(client.cosign(next, writer.reader())).rejects.toMatchObject({ code: 'denied' })
    let asked = 0
    const fickle = {
      key: signer.key,
      post: async () => reply(409, `${(asked += 1) % 3}\n`, 'text/x.tlog.size'),
    }
    const other = new WitnessClient(nodeEd25519, fickle)
    await expect(other.cosign(next, writer.reader())).rejects.toMatchObject({ code: 'conflict' })
    expect(asked).toBe(3)
  })
})
