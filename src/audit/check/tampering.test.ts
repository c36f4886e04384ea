import { describe, expect, it } from 'vitest'
import { filesSource } from '../../testing/files-source.ts'
import { LOG_KEY, NEXT_LOG_KEY, STRANGER_KEY, WITNESSES } from '../../testing/recorded-log.ts'
import { testKeys } from '../../testing/recording-keys.ts'
import type { Tampering } from '../../testing/tampering.ts'
import { tamperingCorpus } from '../../testing/tampering-corpus.ts'
import { nodePrimitives, payloadOpener, type Verdict, verifyRecording } from '../index.ts'

const { vectors } = await tamperingCorpus()
const KEYS = { first: LOG_KEY.key, next: NEXT_LOG_KEY.key, stranger: STRANGER_KEY.key }

function verify({ files, given }: Tampering): Promise<Verdict> {
  return verifyRecording({
    source: filesSource(files),
    primitives: nodePrimitives,
    keys: (given.keys ?? ['first']).map((each) => KEYS[each]),
    ...(given.witnesses === true ? { witnesses: WITNESSES.map(({ key }) => key) } : {}),
    ...(given.witnessesNeeded === undefined ? {} : { witnessesNeeded: given.witnessesNeeded }),
    ...(given.since === undefined ? {} : { since: given.since }),
    ...(given.payloads === true ? { payloads: payloadOpener(testKeys) } : {}),
  })
}

describe('tampering with a recording (P-06)', () => {
  it.each(vectors.filter(({ expected }) => expected !== undefined).map((each) => [each.name, each] as const))(
    'is found where it was done: %s',
    async (_name, vector) => {
      const { proved, failures } = await verify(vector)
      expect(proved).toBe(false)
      expect(failures[0]).toMatchObject(vector.expected ?? {})
    },
  )

  it.each(vectors.filter(({ expected }) => expected === undefined).map((each) => [each.name, each] as const))(
    'is not seen where there is none: %s',
    async (_name, vector) => {
      const { ignored } = vector
      expect(await verify(vector)).toMatchObject({
        failures: [],
        proved: true,
        ...(ignored === undefined ? {} : { ignored: [ignored], ignoredCount: 1 }),
      })
    },
  )

  it('is tried in as many ways as there are', () => {
    expect(new Set(vectors.map(({ name }) => name)).size).toBe(vectors.length)
    expect(vectors.length).toBeGreaterThan(350)
  })
})
