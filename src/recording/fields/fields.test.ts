/** Sealed values: who has the keys of all their labels gets them back, and nobody makes others of the same bytes. */
import { describe, expect, it } from 'vitest'
import type { Entry, IntentHead } from '../../core/index.ts'
import { intentEntry, outcomeEntry } from '../../testing/entries.ts'
import { keysOf, random, testKeys } from '../../testing/recording-keys.ts'
import { decodeEntry } from '../frames/frame-parts.ts'
import { FrameBuffer } from '../frames/frame-buffer.ts'
import { splitJson } from '../frames/heads.ts'
import { frameAt } from '../frames/scan.ts'
import { formatEntry } from '../reading/show-entry.ts'
import { fieldKeysOf, labelKey, LabelKeys } from './label-keys.ts'
import { openValues, sealValues } from './sealed-values.ts'
import { FieldOpener } from './show-fields.ts'

const keys = new LabelKeys(testKeys[0])

function sealed(labels: readonly string[], values: readonly string[]): Uint8Array {
  return sealValues(keys, labels, values, random)
}

describe('sealed values', () => {
  it('open with the key of their label, which can be handed out alone', () => {
    const bytes = sealed(['pii.email'], ["'ada@example.com'", 'ä'])
    const given = fieldKeysOf([labelKey(testKeys[0], 'pii.email')])
    expect(openValues(given, bytes)).toEqual(["'ada@example.com'", 'ä'])
    expect(openValues(fieldKeysOf([labelKey(testKeys[0], 'pii.phone')]), bytes)).toBeUndefined()
  })

  it('of several labels open with the keys of all of them, in whichever order they are named', () => {
    const bytes = sealed(['b', 'a'], ['value'])
    expect(openValues(keys.of(['a', 'b']), bytes)).toEqual(['value'])
    for (const some of [['a'], ['b'], ['a', 'b', 'c']])
      expect(openValues(keys.of(some), bytes)).toBeUndefined()
  })

  it('say neither what they are nor, by their length, how long it is', () => {
    const one = sealed(['a'], ['x'])
    const other = sealed(['a'], ['a value that is longer'])
    expect(one.length).toBe(other.length)
    expect(Buffer.from(one).equals(Buffer.from(sealed(['a'], ['x'])))).toBe(false)
    expect(Buffer.from(other).includes('longer')).toBe(false)
  })

  it('use no part of the keystream twice, also where the counter runs over', () => {
    const own = new LabelKeys(testKeys[0])
    const last = (length: number): Uint8Array => Buffer.alloc(length, 0xff)
    const pieces = ['a', 'b'.repeat(200), 'c', 'd'].map((value) =>
      Buffer.from(sealValues(own, ['a'], [value], last)),
    )
    expect(pieces.map((bytes) => openValues(own.of(['a']), bytes)?.[0]?.[0])).toEqual(['a', 'b', 'c', 'd'])
    const counters = pieces.map((bytes) => bytes.toString('hex', 8, 24))
    expect(counters).toEqual(['f'.repeat(32), ...[3, 19, 23].map((n) => n.toString(16).padStart(32, '0'))])
  })

  it('are noticed to be others when any byte is another', () => {
    const bytes = Buffer.from(sealed(['a'], ['value']))
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(openValues(keys.of(['a']), changed)).toBeUndefined()
    }
    for (const length of [0, 7, 55, 56, bytes.length - 1])
      expect(openValues(keys.of(['a']), bytes.subarray(0, length))).toBeUndefined()
  })
})

const HEAD: Partial<IntentHead> = {
  text: 'SELECT 1 FROM c WHERE email = [sealed 1] AND ssn = [sealed 2] AND id = $1 AND phone = $2',
  parameters: ['Nw==', '[sealed 3]', null],
  sealed: [
    { labels: ['pii.email'], numbers: [1, 3], data: sealed(['pii.email'], ["'a@x.org'", 'NTU1']) },
    { labels: ['secret'], numbers: [2], data: sealed(['secret'], ["'123-45'"]) },
  ],
}

/** Through a frame of the journal and back. */
function written(entry: Entry): Entry | undefined {
  const buffer = new FrameBuffer()
  buffer.push(3, 1, 1, 1, splitJson(entry))
  const bytes = Buffer.from(buffer.waiting)
  const frame = frameAt(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length, 0)
  if (typeof frame === 'number' || frame.what === 'damage') throw new Error('no frame')
  expect(bytes.includes('a@x.org')).toBe(false)
  return decodeEntry(frame)
}

function shown(sees: readonly string[], by = testKeys, entry = written(intentEntry(1, HEAD))) {
  if (entry === undefined) throw new Error('no entry')
  const { head } = new FieldOpener(by).shown(entry, (label) => sees.includes(label))
  return head as IntentHead
}

describe('an entry with sealed values', () => {
  it('shows those that the reader may see, and of others their labels', () => {
    expect(shown(['pii.email', 'secret'])).toMatchObject({
      text: "SELECT 1 FROM c WHERE email = 'a@x.org' AND ssn = '123-45' AND id = $1 AND phone = $2",
      parameters: ['Nw==', 'NTU1', null],
    })
    expect(shown(['pii.email'])).toMatchObject({
      text: "SELECT 1 FROM c WHERE email = 'a@x.org' AND ssn = [sealed secret] AND id = $1 AND phone = $2",
    })
    expect(shown([])).toMatchObject({
      text: 'SELECT 1 FROM c WHERE email = [sealed pii.email] AND ssn = [sealed secret] AND id = $1 AND phone = $2',
      parameters: ['Nw==', '[sealed pii.email]', null],
    })
    expect(shown([])).not.toHaveProperty('sealed')
  })

  it('keeps them from a reader without the key that they are under, whatever the policy says', () => {
    const other = keysOf(Buffer.alloc(32, 5))
    expect(shown(['pii.email', 'secret'], other).text).toContain('[sealed pii.email]')
    expect(shown(['pii.email', 'secret'], [other[0], testKeys[0]]).text).toContain("'a@x.org'")
  })

  it('shows a result that gives one back to who may see it, and to others how long it was', () => {
    const body = Buffer.from('marker@x.org')
    const seal = (): Uint8Array => sealed(['a', 'b'], [body.toString('base64')])
    for (const entry of [
      { kind: 'result', head: { n: 1, sealed: ['a', 'b'] }, body: seal() },
      outcomeEntry(1, { sealed: ['a', 'b'] }, seal()),
    ] as const) {
      const opener = new FieldOpener(testKeys)
      const seen = opener.shown(entry, () => true)
      expect(seen).toMatchObject({ body })
      expect(seen.head).not.toHaveProperty('sealed')
      const hidden = opener.shown(entry, (label) => label === 'a')
      expect(hidden.head).toHaveProperty('sealed')
      expect('body' in hidden ? Buffer.from(hidden.body ?? '').length : 0).toBe(0)
      expect(formatEntry({ sequence: 1, time: 0, session: undefined, entry: hidden })).toContain(
        '[sealed a, b]',
      )
    }
  })

  it('says which were erased', () => {
    const sealedFields = (HEAD.sealed ?? []).map((each) => ({ ...each, data: Buffer.alloc(0) }))
    expect(shown(['secret'], testKeys, intentEntry(1, { ...HEAD, sealed: sealedFields })).text).toContain(
      'email = [erased pii.email] AND ssn = [erased secret]',
    )
  })

  it('puts nothing in place of a value that looks like a mark', () => {
    const data = sealed(['a'], ["'[sealed 2]'", 'x'])
    const entry = intentEntry(1, {
      text: '[sealed 1] [sealed 2]',
      sealed: [{ labels: ['a'], numbers: [1, 2], data }],
    })
    expect(shown(['a'], testKeys, entry).text).toBe("'[sealed 2]' x")
  })
})
