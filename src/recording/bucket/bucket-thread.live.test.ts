import { afterEach, beforeEach, expect, test } from 'vitest'
import { GatewayError, Secret, type SecretRef, systemClock } from '../../core/index.ts'
import { BucketStage, bucketOf, PREFIX } from '../../testing/bucket-stage.ts'
import { testKeys } from '../../testing/recording-keys.ts'
import { S3_KEYS, S3Server } from '../../testing/s3-server.ts'
import { dayOf } from '../files/names.ts'
import { BucketThread } from './bucket-thread.ts'
import type { RecordingStore } from './settings.ts'

let server: S3Server
let stage: BucketStage
let thread: BucketThread
let faults: string[]
let resolved: string[]
let secret: () => string

beforeEach(async () => {
  server = await S3Server.open()
  stage = await BucketStage.open(server)
  faults = []
  resolved = []
  secret = () => S3_KEYS.secretAccessKey
  thread = new BucketThread({
    directory: stage.directory,
    keys: testKeys,
    clock: systemClock,
    resolveSecret: async (ref) => {
      resolved.push(nameOf(ref))
      return new Secret(nameOf(ref) === 'id' ? S3_KEYS.accessKeyId : secret())
    },
    onFault: (error) => faults.push(error instanceof Error ? error.message : String(error)),
  })
})
afterEach(async () => {
  await thread.stop()
  stage.close()
  await server.close()
})

const nameOf = (ref: SecretRef): string => (ref.kind === 'store' ? ref.name : ref.kind)
const store = (spoolBytesMax = 0): RecordingStore => ({
  settings: { ...bucketOf(server), spoolBytesMax },
  secrets: { accessKey: { kind: 'store', name: 'id' }, secretKey: { kind: 'store', name: 'secret' } },
})

test('uploads by itself, fetches for who asks, and goes on where it was', async () => {
  const session = stage.session()
  await stage.seal()
  await stage.seal()
  expect(thread.report).toBeUndefined()
  await expect(thread.fetch(session)).rejects.toMatchObject({ code: 'recording_unavailable' })
  await thread.adopt(store())
  await thread.settle()
  expect(server.objects.has(`${PREFIX}sessions/${dayOf(session)}/${session}.slr`)).toBe(true)
  expect((await stage.verify()).proved).toBe(true)
  await expect
    .poll(() => thread.report, { timeout: 20_000 })
    .toMatchObject({ waitingFiles: 0, uploaded: 1, fault: undefined })
  expect(stage.isHere(session)).toBe(false)
  await thread.fetch(session)
  expect(stage.isHere(session)).toBe(true)
  expect(resolved).toEqual(['id', 'secret'])
  // The same again is no change; another bound is, and nothing is uploaded twice.
  server.taken()
  await thread.adopt(store())
  await thread.adopt(store(1_000_000))
  await thread.settle()
  expect(server.taken().filter((each) => /^PUT .*\.slr$/.test(each))).toEqual([])
  await thread.adopt(undefined)
  await expect(thread.fetch(session)).rejects.toMatchObject({ code: 'recording_unavailable' })
  expect(faults).toEqual([])
})

test('a secret that cannot be had is a fault that is told, and never shown', async () => {
  stage.session()
  await stage.seal()
  secret = () => {
    throw new GatewayError('invalid', '${store:secret}: there is no such secret in the store.')
  }
  await thread.adopt(store())
  await expect.poll(() => thread.report?.fault, { timeout: 20_000 }).toBeDefined()
  secret = () => 'a wrong secret'
  await expect(thread.settle()).rejects.toMatchObject({ code: 'denied' })
  expect(JSON.stringify([faults, thread.report])).not.toContain('a wrong secret')
  expect(server.objects.size).toBe(0)
})
