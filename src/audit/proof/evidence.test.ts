import { describe, expect, it } from 'vitest'
import {
  CompactRange,
  formatVerifierKey,
  nodeSha256,
  treeHasher,
  verifyInclusion,
} from '../../evidence/index.ts'
import { filesSource } from '../../testing/files-source.ts'
import { LOG_KEY, STRANGER_KEY, vkeyOf, WITNESSES } from '../../testing/recorded-log.ts'
import { testKeys } from '../../testing/recording-keys.ts'
import { sampleRecording } from '../../testing/sample-recording.ts'
import { rotatedEvidence } from '../../testing/rotated-evidence.ts'
import { erasedEvidence } from '../../testing/tampered-removals.ts'
import { tamperedEvidence } from '../../testing/tampered-json.ts'
import {
  formatEvidence,
  nodePrimitives,
  parseEvidence,
  payloadReader,
  proveFrames,
  verifyEvidence,
} from '../index.ts'
import { TreeLevels } from './tree-levels.ts'

const sample = await sampleRecording()
const source = filesSource(sample.files)
const primitives = nodePrimitives
const of = { source, primitives, session: sample.full }
const keys = [LOG_KEY.key]
const witnesses = WITNESSES.map(({ key }) => key)
const verify = (text: string, given = keys) =>
  verifyEvidence({ evidence: parseEvidence(text), primitives, keys: given, witnesses })

describe('an evidence file', () => {
  it('that another reader could take for something else is none (P-06)', async () => {
    const text = formatEvidence(await proveFrames({ ...of, payloads: payloadReader(testKeys) }))
    const changed = tamperedEvidence(text)
    expect(changed.length).toBeGreaterThan(20)
    for (const [name, bytes] of changed) {
      expect(Buffer.from(text).equals(bytes), name).toBe(false)
      expect(() => parseEvidence(bytes), name).toThrow('This is no evidence file')
    }
    expect((await verify(text)).proved).toBe(true)
  })

  it('proves a whole session by itself, with what its maker may see', async () => {
    const text = formatEvidence(await proveFrames({ ...of, payloads: payloadReader(testKeys) }))
    const verdict = await verify(text)
    expect(verdict).toMatchObject({ proved: true, whole: true, session: sample.full, failures: [] })
    expect(verdict.frames).toHaveLength(21)
    expect(verdict.frames[1]).toMatchObject({ kind: 3, shown: ['text', 'parameters', 'sealed.1'] })
    expect(verdict.witnesses).toHaveLength(2)
    expect(Buffer.from(text).includes(Buffer.from(`SELECT '${sample.marker}'`).toString('base64'))).toBe(true)
  })

  it('proves one frame and whose it is, and shows no payload to who has no key', async () => {
    const sequence = sample.sequenceOf.secondSegment
    const text = formatEvidence(await proveFrames({ ...of, sequence }))
    const verdict = await verify(text)
    expect(verdict).toMatchObject({ proved: true, whole: false })
    expect(verdict.frames.map((each) => each.sequence)).toEqual([sample.sequenceOf.open, sequence])
    expect(verdict.frames[1]?.shown).toEqual([])
    for (const { payloads } of parseEvidence(text).frames)
      for (const payload of payloads) expect(payload).toMatchObject({ state: 'hidden' })
  })

  it('fails wherever a letter of it is another, or it is not the keys\u2019 (P-06)', async () => {
    const text = formatEvidence(
      await proveFrames({ ...of, sequence: sample.sequenceOf.open + 2, payloads: payloadReader(testKeys) }),
    )
    expect((await verify(text, [STRANGER_KEY.key])).failures[0]).toMatchObject({ code: 'signature' })
    expect((await verify(text)).proved).toBe(true)
    const step = Math.ceil(text.length / 120)
    let unread = 0
    for (let at = 0; at < text.length - 1; at += step) {
      const letter = text[at] === 'A' ? 'B' : 'A'
      const changed = `${text.slice(0, at)}${letter}${text.slice(at + 1)}`
      const proved = await Promise.resolve()
        .then(() => verify(changed))
        .then(
          (verdict) => verdict.proved,
          (error) => {
            expect(error).toMatchObject({ code: 'invalid' })
            unread += 1
            return false
          },
        )
      expect(proved, `letter ${at}: ${text.slice(at - 20, at + 20)}`).toBe(false)
    }
    expect(unread).toBeLessThan(60)
  })

  it.each([
    ['nobody has', { session: '01KG9YS7G0WZ1PM1Z6QPQ83PS0' }, 'no such session'],
    ['that is not sealed yet', { session: sample.live }, 'no sealed file yet'],
    ['that was deleted', { session: sample.deleted }, 'not there'],
    ['without such a frame', { sequence: 99_999 }, 'no frame 99999'],
    ['whose id is a path', { session: '../../etc/passwd' }, 'no session id'],
  ])('is none for a session %s', async (_what, change, message) => {
    await expect(proveFrames({ ...of, ...change })).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining(message),
    })
  })

  it('calls erased what the log says was erased, and shows that it does (P-06)', async () => {
    const { text, changed } = await erasedEvidence()
    const proved = (given: string) =>
      verifyEvidence({ evidence: parseEvidence(given), primitives, keys: [LOG_KEY.key] })
    expect(await proved(text)).toMatchObject({ proved: true, failures: [] })
    expect(text.match(/"state":"removed"/g)).toHaveLength(2)
    for (const [name, one] of changed) {
      expect(one, name).not.toBe(text)
      expect(await proved(one), name).toMatchObject({ proved: false })
    }
    for (const [name, one] of changed.slice(0, 2))
      expect((await proved(one)).failures[0], name).toMatchObject({ code: 'payload' })
  })

  describe('of a log whose key has changed twice', async () => {
    const { text, keys: all } = await rotatedEvidence()
    const proved = (given: typeof keys, changed = text) =>
      verifyEvidence({ evidence: parseEvidence(changed), primitives, keys: given })

    it('is proved to who has any of its keys, by the chain of the changes', async () => {
      expect(parseEvidence(text).keys).toHaveLength(2)
      const [, two, three] = all.map(vkeyOf)
      for (const [given, chain] of [
        [all[0], [two, three]],
        [all[1], [three]],
        [all[2], []],
      ] as const) {
        if (given === undefined) throw new Error('there are three keys')
        const verdict = await proved([given.key])
        expect(verdict.proved).toBe(true)
        expect(verdict.keys.map(formatVerifierKey)).toEqual([three])
        expect(verdict.announced.map(formatVerifierKey)).toEqual(chain)
      }
      expect((await proved([STRANGER_KEY.key])).failures[0]).toMatchObject({ code: 'signature' })
    })

    it('is not with a link of the chain missing, out of order, or another (P-06)', async () => {
      const file = JSON.parse(text) as { keys: Record<string, unknown>[] }
      const [first, second] = file.keys
      const other = { ...second, entry: JSON.stringify({ kind: 'key', vkey: vkeyOf(STRANGER_KEY) }) }
      for (const chain of [
        [second],
        [first],
        [second, first],
        [first, other],
        [first, { ...second, index: 0 }],
      ])
        expect((await proved([LOG_KEY.key], JSON.stringify({ ...file, keys: chain }))).proved).toBe(false)
      expect(() => parseEvidence(JSON.stringify({ ...file, format: 'sluice evidence 1' }))).toThrow()
      expect(() => parseEvidence(JSON.stringify({ ...file, keys: [{ ...first, more: 1 }] }))).toThrow()
    })
  })

  it('has to be one to be read', () => {
    for (const text of ['', '{}', '[]', '{"format":"sluice evidence 2"}'])
      expect(() => parseEvidence(text)).toThrow(expect.objectContaining({ code: 'invalid' }))
  })
})

it('proofs of a tree in memory are those of RFC 6962', () => {
  const hasher = treeHasher(nodeSha256)
  for (let size = 1; size <= 33; size++) {
    const leaves = Array.from({ length: size }, (_, i) => hasher.leaf(Uint8Array.of(i)))
    const range = new CompactRange(hasher)
    for (const leaf of leaves) range.append(leaf)
    const [root, tree] = [range.root(), new TreeLevels(hasher, leaves)]
    for (const [index, leaf] of leaves.entries())
      expect(verifyInclusion(hasher, { index, size, leaf, root, proof: tree.proof(index) })).toBe(true)
  }
})
