import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nodeSha256 } from '../system/sha256.ts'
import { CompactRange } from './compact-range.ts'
import { type Hash, treeHasher } from './hasher.ts'
import { consistencyRanges, inclusionRanges, verifyConsistency, verifyInclusion } from './proofs.ts'
import { fullSubtrees, type Range } from './subtrees.ts'

const hasher = treeHasher(nodeSha256)
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const hex = (hash: Uint8Array): string => Buffer.from(hash).toString('hex')

function sha256(...parts: readonly Uint8Array[]): Hash {
  return createHash('sha256').update(Buffer.concat(parts)).digest()
}

/** Sections 2.1, 2.1.1 and 2.1.2 of RFC 6962 word for word; what was computed once is kept. */
function naiveTree(entries: readonly Uint8Array[]) {
  const kept = new Map<string, Hash>()
  const splitAt = (start: number, end: number): number => {
    let k = 1
    while (k * 2 < end - start) k *= 2
    return start + k
  }
  /** MTH(D[start:end]). */
  function root(start: number, end: number): Hash {
    const key = `${start}:${end}`
    let hash = kept.get(key)
    if (hash === undefined) {
      const middle = splitAt(start, end)
      if (start === end) hash = sha256()
      else if (end - start === 1) hash = sha256(Buffer.of(0), entries[start]!)
      else hash = sha256(Buffer.of(1), root(start, middle), root(middle, end))
      kept.set(key, hash)
    }
    return hash
  }
  /** PATH(m, D[n]). */
  function path(m: number, start: number, end: number): Hash[] {
    if (end - start <= 1) return []
    const middle = splitAt(start, end)
    return m < middle
      ? [...path(m, start, middle), root(middle, end)]
      : [...path(m, middle, end), root(start, middle)]
  }
  /** SUBPROOF(m, D[n], b). */
  function subproof(m: number, start: number, end: number, known: boolean): Hash[] {
    if (m === end) return known ? [] : [root(start, end)]
    const middle = splitAt(start, end)
    return m <= middle
      ? [...subproof(m, start, middle, known), root(middle, end)]
      : [...subproof(m, middle, end, false), root(start, middle)]
  }
  return { root, path, subproof }
}

function grown(entries: readonly Uint8Array[]): CompactRange {
  const range = new CompactRange(hasher)
  for (const entry of entries) range.append(hasher.leaf(entry))
  return range
}

// The entries, roots and proofs that the implementations of Certificate Transparency have shared since 2013.
const ENTRIES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(bytes)
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]
const A = '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7'
const B = '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e'
const C = '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4'
const D = 'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b'
const E = 'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0'
const F = '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a'
const G = 'b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f'
const INCLUSION: readonly (readonly [index: number, size: number, proof: readonly string[]])[] = [
  [0, 1, []],
  [0, 8, [A, B, C]],
  [5, 8, [D, E, ROOTS[4]!]],
  [2, 3, [ROOTS[2]!]],
  [1, 5, [ROOTS[1]!, B, D]],
]
const CONSISTENCY: readonly (readonly [oldSize: number, size: number, proof: readonly string[]])[] = [
  [1, 1, []],
  [1, 8, [A, B, C]],
  [6, 8, [F, E, ROOTS[4]!]],
  [2, 5, [B, D]],
  [6, 7, [F, G, ROOTS[4]!]],
]

const vectors = naiveTree(ENTRIES)
const hashesOf = (ranges: readonly Range[], tree = vectors): Hash[] =>
  ranges.map(({ start, end }) => tree.root(start, end))

describe('SHA-256', () => {
  it('is that of Node, whatever the bytes and however they are parted', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }), (parts) => {
        expect(hex(nodeSha256(...parts))).toBe(hex(sha256(...parts)))
      }),
    )
  })
})

describe('the published vectors', () => {
  it.each(ROOTS.map((root, size) => [size, root] as const))('have the root of %i entries', (size, root) => {
    expect(hex(grown(ENTRIES.slice(0, size)).root())).toBe(root)
  })

  it.each(INCLUSION)('have the proof of entry %i in a tree of %i', (index, size, hashes) => {
    const proof = hashes.map(bytes)
    const made = hashesOf(inclusionRanges(index, size))
    expect(made.map(hex)).toEqual(hashes)
    const leaf = hasher.leaf(ENTRIES[index]!)
    expect(verifyInclusion(hasher, { index, size, leaf, root: bytes(ROOTS[size]!), proof })).toBe(true)
  })

  it.each(CONSISTENCY)('have the proof from %i to %i', (oldSize, size, hashes) => {
    const proof = hashes.map(bytes)
    expect(hashesOf(consistencyRanges(oldSize, size)).map(hex)).toEqual(hashes)
    const claim = { oldSize, size, oldRoot: bytes(ROOTS[oldSize]!), root: bytes(ROOTS[size]!), proof }
    expect(verifyConsistency(hasher, claim)).toBe(true)
  })
})

describe('a tree', () => {
  const SIZES = 40
  const entries = Array.from({ length: SIZES }, (_, i) => new Uint8Array(Buffer.from(`entry ${i}`)))
  const naive = naiveTree(entries)
  const roots = Array.from({ length: SIZES + 1 }, (_, size) => naive.root(0, size))

  it('has the root and the proofs of the definition, at every size up to 40 (P-06)', () => {
    const range = new CompactRange(hasher)
    for (let size = 0; size <= SIZES; size++) {
      expect(hex(range.root())).toBe(hex(roots[size]!))
      for (let index = 0; index < size; index++) {
        const proof = hashesOf(inclusionRanges(index, size), naive)
        expect(proof.map(hex)).toEqual(naive.path(index, 0, size).map(hex))
        const leaf = hasher.leaf(entries[index]!)
        expect(verifyInclusion(hasher, { index, size, leaf, root: roots[size]!, proof })).toBe(true)
      }
      for (let oldSize = 0; oldSize <= size; oldSize++) {
        const proof = hashesOf(consistencyRanges(oldSize, size), naive)
        const expected = oldSize === 0 ? [] : naive.subproof(oldSize, 0, size, true)
        expect(proof.map(hex)).toEqual(expected.map(hex))
        const claim = { oldSize, size, oldRoot: roots[oldSize]!, root: roots[size]!, proof }
        expect(verifyConsistency(hasher, claim)).toBe(true)
      }
      if (size < SIZES) range.append(hasher.leaf(entries[size]!))
    }
  })

  it('goes on from the hashes of its full subtrees, and tells of each one it completes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: SIZES }), fc.integer({ min: 0, max: SIZES }), (a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)]
        const subtreesOf = (size: number) => fullSubtrees({ start: 0, end: size })
        const before = subtreesOf(from).map(({ height, index }) =>
          naive.root(index * 2 ** height, (index + 1) * 2 ** height),
        )
        const range = new CompactRange(hasher, from, before)
        const copy = range.copy()
        for (let at = from; at < to; at++) {
          const told: string[] = []
          range.append(hasher.leaf(entries[at]!), (height, hash) => {
            const count = 2 ** height
            expect(hex(hash)).toBe(hex(naive.root(at + 1 - count, at + 1)))
            told.push(String(height))
          })
          expect(told).toHaveLength(1 + Math.log2((at + 1) & -(at + 1)))
        }
        expect(hex(range.root())).toBe(hex(roots[to]!))
        expect(hex(copy.root())).toBe(hex(roots[from]!))
      }),
    )
    expect(() => new CompactRange(hasher, 3, [roots[1]!])).toThrow('not the subtrees')
  })

  it('is split beyond 32 bits as it is below', () => {
    const size = 2 ** 40 + 3
    expect(fullSubtrees({ start: 0, end: size })).toEqual([
      { height: 40, index: 0 },
      { height: 1, index: 2 ** 39 },
      { height: 0, index: 2 ** 40 + 2 },
    ])
    expect(inclusionRanges(2 ** 40 + 2, size)).toEqual([
      { start: 2 ** 40, end: 2 ** 40 + 2 },
      { start: 0, end: 2 ** 40 },
    ])
    expect(consistencyRanges(2 ** 40, size)).toEqual([{ start: 2 ** 40, end: size }])
  })
})

describe('a proof that was tampered with', () => {
  const some = ENTRIES
  const some8 = vectors.root(0, 8)
  const flipped = (hash: Hash): Hash => new Uint8Array(hash).with(0, hash[0]! ^ 8)
  const stray = bytes('abacaba000000000000000000000000000000000000000000060061e00123456')

  /** Every way in which a list of hashes may be wrong by one thing. */
  function wrongLists(proof: readonly Hash[], ...extra: readonly Hash[]): Hash[][] {
    const lists: Hash[][] = [
      [...proof, new Uint8Array(0)],
      [new Uint8Array(0), ...proof],
    ]
    for (const each of [...extra, stray]) lists.push([...proof, each], [each, ...proof])
    for (let i = 0; i < proof.length; i++) {
      lists.push(proof.toSpliced(i, 1, flipped(proof[i]!)), proof.toSpliced(i, 1))
      lists.push(proof.toSpliced(i, 0, stray), proof.toSpliced(i, 0, proof[i]!))
      if (i > 0) lists.push(proof.toSpliced(i - 1, 2, proof[i]!, proof[i - 1]!))
    }
    return lists
  }

  it('does not show that an entry is in a tree (P-06)', () => {
    for (const [index, size, hashes] of INCLUSION) {
      const proof = hashes.map(bytes)
      const root = bytes(ROOTS[size]!)
      const claim = { index, size, root, proof, leaf: hasher.leaf(some[index]!) }
      expect(verifyInclusion(hasher, claim)).toBe(true)
      const wrong = [
        ...[index - 1, index + 1, index ^ 2, index + 0.5].map((each) => ({ ...claim, index: each })),
        ...[size * 2, Math.floor(size / 2), 0, -size, Number.NaN].map((each) => ({ ...claim, size: each })),
        ...[stray, flipped(claim.leaf), claim.leaf.subarray(1)].map((leaf) => ({ ...claim, leaf })),
        ...[stray, hasher.empty, new Uint8Array(0)].map((each) => ({ ...claim, root: each })),
        ...wrongLists(proof, root).map((each) => ({ ...claim, proof: each })),
      ]
      for (const each of wrong) expect(verifyInclusion(hasher, each), JSON.stringify(each)).toBe(false)
    }
  })

  it('does not show that a tree begins with another (P-06)', () => {
    for (const [oldSize, size, hashes] of CONSISTENCY) {
      const [oldRoot, root] = [bytes(ROOTS[oldSize]!), bytes(ROOTS[size]!)]
      const claim = { oldSize, size, oldRoot, root, proof: hashes.map(bytes) }
      expect(verifyConsistency(hasher, claim)).toBe(true)
      const wrong = [
        ...wrongLists(claim.proof, root, oldRoot).map((proof) => ({ ...claim, proof })),
        { ...claim, oldRoot: stray },
        { ...claim, root: stray },
        { ...claim, oldSize: size + 1 },
      ]
      if (oldSize !== size) {
        wrong.push({ ...claim, proof: [] }, { ...claim, oldRoot: root, root: oldRoot })
        for (const each of [oldSize - 1, oldSize + 1, oldSize ^ 2]) wrong.push({ ...claim, oldSize: each })
        for (const each of [size * 2, Math.floor(size / 2)]) wrong.push({ ...claim, size: each })
      }
      for (const each of wrong) expect(verifyConsistency(hasher, each), JSON.stringify(each)).toBe(false)
    }
    const fromNothing = { oldSize: 0, size: 8, oldRoot: hasher.empty, root: some8, proof: [] }
    expect(verifyConsistency(hasher, fromNothing)).toBe(true)
    expect(verifyConsistency(hasher, { ...fromNothing, oldRoot: stray })).toBe(false)
    expect(verifyConsistency(hasher, { ...fromNothing, proof: [some8] })).toBe(false)
    expect(verifyConsistency(hasher, { ...fromNothing, oldSize: 8, size: 0 })).toBe(false)
  })

  it('is not even asked for where there is no such entry or tree', () => {
    expect(() => inclusionRanges(8, 8)).toThrow('no entry 8')
    expect(() => consistencyRanges(9, 8)).toThrow('does not begin')
  })
})
