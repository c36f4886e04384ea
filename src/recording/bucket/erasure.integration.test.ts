import { renameSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { SessionId } from '../../core/index.ts'
import { BucketStage, PREFIX } from '../../testing/bucket-stage.ts'
import { collect } from '../../testing/entries.ts'
import { random, testKeys } from '../../testing/recording-keys.ts'
import { S3Server } from '../../testing/s3-server.ts'
import { Eraser, type Rewriter } from '../erasure/eraser.ts'
import { concerns, putInPlace, thinned } from '../erasure/rewrite.ts'
import { dayOf, sessionFile, thinnedFile } from '../files/names.ts'
import { readSession } from '../reading/reader.ts'
import type { Uploader } from './uploader.ts'

const BYTES = 20_000
let server: S3Server
let stage: BucketStage
let uploader: Uploader

beforeAll(async () => {
  server = await S3Server.open()
})
afterAll(() => server.close())
beforeEach(async () => {
  server.objects.clear()
  stage = await BucketStage.open(server)
  server.now = Date.now
  uploader = stage.uploader({ spoolBytesMax: 0 })
})
afterEach(() => stage.close())

const stored = (id: SessionId): number | undefined =>
  server.objects.get(`${PREFIX}sessions/${dayOf(id)}/${id}.slr`)?.bytes.length

function eraser(by: Partial<Rewriter> = {}): Eraser {
  const { directory, clock } = stage
  return new Eraser({
    directory,
    keys: testKeys,
    journal: stage.journal,
    rewriter: {
      concerns: (id, removal) => concerns({ directory, keys: testKeys }, id, removal),
      thin: (id, removal) => thinned({ directory, keys: testKeys, random }, id, removal),
      putInPlace: (id, found) => putInPlace(directory, id, found),
      ...by,
    },
    clock,
    isHeld: () => false,
    onErased: () => Promise.resolve(),
    fetch: (id) => uploader.fetch(id),
    onFault: (error) => expect.fail(String(error)),
  })
}

test('what is in the store only is erased there as well, and the bucket is proved without it (P-06)', async () => {
  const [one, other] = [stage.session(BYTES), stage.session(BYTES)]
  await stage.seal()
  await uploader.pass(true)
  expect([stage.isHere(one), stored(one)]).toEqual([false, expect.any(Number)])
  expect(stored(one)).toBeGreaterThan(BYTES)

  const report = await eraser().request({ session: one, scope: {}, by: 'person:ada', reason: 'case 4711' })
  expect(report.state).toBe('erased')
  await stage.seal()
  await uploader.pass(true)
  expect(stored(one)).toBeLessThan(BYTES)
  expect(stored(other)).toBeGreaterThan(BYTES)

  const read = await collect(
    readSession(stage.directory, testKeys, one, { fetch: (id) => uploader.fetch(id) }),
  )
  expect(read.flatMap(({ erased = [] }) => erased)).toContain('body')
  const verdict = await stage.verify()
  expect(verdict.failures).toEqual([])
  expect(verdict.proved).toBe(true)
  expect(stage.faults).toEqual([])
})

test('erased here by a process that was killed before it could say so, it goes from the store when it is done again (P-06)', async () => {
  uploader = stage.uploader()
  const id = stage.session(BYTES)
  await stage.seal()
  await uploader.pass(true)
  const path = sessionFile(stage.directory, id)
  const killed = eraser({
    putInPlace: () => {
      renameSync(thinnedFile(path), path)
      return Promise.reject(new Error('killed'))
    },
  })
  await expect(
    killed.request({ session: id, scope: {}, by: 'person:ada', reason: 'case 4711' }),
  ).rejects.toThrow('killed')
  await uploader.pass(true)
  expect(stored(id)).toBeGreaterThan(BYTES)
  await eraser().run()
  await stage.seal()
  await uploader.pass(true)
  expect(stored(id)).toBeLessThan(BYTES)
  expect((await stage.verify()).failures).toEqual([])
})
