import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { logStorageContract } from '../../testing/log-storage-contract.ts'
import { openBucket, PREFIX } from '../../testing/bucket-stage.ts'
import { S3_KEYS, S3Server } from '../../testing/s3-server.ts'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { memoryDirectory } from '../../testing/faulty-files.ts'
import { collect } from '../../testing/entries.ts'
import type { Bucket } from './bucket.ts'
import { bytesContent, type Content, fileContent } from './content.ts'
import { StoreLog } from './store-log.ts'

let server: S3Server
let bucket: Bucket

beforeAll(async () => {
  server = await S3Server.open()
})
afterAll(() => server.close())
beforeEach(async () => {
  server.objects.clear()
  server.uploads.clear()
  server.taken()
  server.fault = () => undefined
  server.now = Date.now
  server.pageKeys = 1_000
  bucket = await openBucket(server)
})
afterEach(() => bucket.close())

const content = (text: string): Content => bytesContent(Buffer.from(text))
async function text(name: string): Promise<string | undefined> {
  const found = await bucket.get(name)
  return found === undefined ? undefined : Buffer.concat(await collect(found.body)).toString()
}

test('puts, reads, lists and removes, below its prefix', async () => {
  expect(await bucket.put('sessions/a b+c%.slr', content('one'), { ifAbsent: true })).toEqual(
    expect.any(String),
  )
  expect(await bucket.put('sessions/day/x.slr', content(''), { ifAbsent: true })).toEqual(expect.any(String))
  expect([...server.objects.keys()]).toEqual([`${PREFIX}sessions/a b+c%.slr`, `${PREFIX}sessions/day/x.slr`])
  expect(await text('sessions/a b+c%.slr')).toBe('one')
  expect(await text('sessions/day/x.slr')).toBe('')
  expect(await bucket.head('sessions/day/x.slr')).toMatchObject({
    bytes: 0,
    checksum: bytesContent(Buffer.of()).checksum,
  })
  expect(await text('sessions/none')).toBeUndefined()
  expect(await bucket.head('sessions/none')).toBeUndefined()
  const both = [
    { name: 'day', bytes: undefined },
    { name: 'a b+c%.slr', bytes: 3 },
  ]
  expect(await collect(bucket.list('sessions/'))).toEqual(both)
  server.pageKeys = 1
  expect(await collect(bucket.list('sessions/'))).toHaveLength(2)
  await bucket.remove('sessions/a b+c%.slr')
  await bucket.remove('sessions/a b+c%.slr')
  expect(await text('sessions/a b+c%.slr')).toBeUndefined()
})

test('never puts over another, and replaces only what it knows (P-06)', async () => {
  expect(await bucket.put('a', content('one'), { ifAbsent: true })).toEqual(expect.any(String))
  expect(await bucket.put('a', content('two'), { ifAbsent: true })).toBeUndefined()
  const etag = (await bucket.head('a'))?.etag ?? ''
  expect(await bucket.put('a', content('two'), { ifEtag: etag })).toEqual(expect.any(String))
  expect(await bucket.put('a', content('three'), { ifEtag: etag })).toBeUndefined()
  expect(await bucket.put('b', content('three'), { ifEtag: etag })).toBeUndefined()
  expect(await text('a')).toBe('two')
  expect(await text('b')).toBeUndefined()
})

describe('what is large', () => {
  let directory: string
  let file: Awaited<ReturnType<typeof open>>
  let large: Content
  beforeEach(async () => {
    directory = mkdtempSync(join(memoryDirectory(), 'sluice-s3-'))
    writeFileSync(join(directory, 'large'), Buffer.alloc(2_500, 7))
    file = await open(join(directory, 'large'), 'r')
    large = await fileContent(file, 1_000)
  })
  afterEach(async () => {
    await file.close()
    rmSync(directory, { recursive: true, force: true })
  })

  test('goes up in parts, under the same conditions', async () => {
    expect(await bucket.put('large', large, { ifAbsent: true })).toEqual(expect.any(String))
    expect(server.taken().map((each) => each.split(' ')[0])).toEqual([
      'CREATE',
      'PART',
      'PART',
      'PART',
      'COMPLETE',
    ])
    expect(await bucket.head('large')).toMatchObject({ bytes: 2_500, checksum: large.checksum })
    expect(large.checksum).toMatch(/=-3$/)
    expect(await bucket.put('large', large, { ifAbsent: true })).toBeUndefined()
    expect(server.uploads.size).toBe(0)
  })

  test('and takes away what it began when it fails; what a killed one left goes when it is old', async () => {
    server.fault = ({ what }) => (what === 'COMPLETE' ? { status: 503, code: 'SlowDown' } : undefined)
    await expect(bucket.put('large', large, { ifAbsent: true })).rejects.toMatchObject({
      code: 'upstream_unreachable',
    })
    expect(server.uploads.size).toBe(0)
    server.fault = ({ what }) => (['COMPLETE', 'ABORT'].includes(what) ? { cut: true } : undefined)
    await expect(bucket.put('large', large, { ifAbsent: true })).rejects.toMatchObject({
      code: 'upstream_unreachable',
    })
    expect(server.uploads.size).toBe(1)
    server.fault = () => undefined
    expect(await bucket.abandon(Date.now() - 60_000)).toBe(0)
    expect(await bucket.abandon(Date.now() + 60_000)).toBe(1)
    expect(server.uploads.size).toBe(0)
    expect(server.objects.size).toBe(0)
  })

  test('a part that arrives otherwise is refused by the store', async () => {
    const changing: Content = {
      ...large,
      read: async (offset, length) => (await large.read(offset, length)).fill(offset / 1_000),
    }
    await bucket.put('large', changing, { ifAbsent: true })
    expect((await bucket.head('large'))?.checksum).not.toBe(large.checksum)
  })
})

test('faults of the store are told by their code, and may pass', async () => {
  const faults = [
    { status: 500, code: 'InternalError' },
    { status: 503, code: 'SlowDown' },
    { stall: true },
    { cut: true },
    { lost: true },
  ] as const
  bucket.close()
  for (const fault of faults) {
    bucket = await openBucket(server, 'stall' in fault ? { silenceMs: 100 } : {})
    server.fault = () => fault
    const works = [
      () => bucket.head('a'),
      () => bucket.get('a'),
      () => bucket.put('a', content('one'), { ifAbsent: true }),
      () => collect(bucket.list('')),
      () => bucket.remove('a'),
      () => bucket.abandon(0),
    ]
    for (const work of works)
      await expect(work(), JSON.stringify(fault)).rejects.toMatchObject({
        code: 'upstream_unreachable',
        retry: 'later',
      })
    bucket.close()
  }
})

test('a body that ends too early is a fault', async () => {
  await bucket.put('a', content('0123456789'), { ifAbsent: true })
  server.fault = ({ what }) => (what === 'GET' ? { body: 'cut' } : undefined)
  await expect(text('a')).rejects.toMatchObject({ code: 'upstream_unreachable' })
  server.fault = ({ what }) => (what === 'GET' ? { body: 'damaged' } : undefined)
  // Who asked for it knows what it has to be.
  expect(await text('a')).not.toBe('0123456789')
})

test('a body that goes no further is a fault, and redirects are not followed', async () => {
  await bucket.put('a', content('0123456789'), { ifAbsent: true })
  bucket.close()
  bucket = await openBucket(server, { silenceMs: 200 })
  server.fault = ({ what }) => (what === 'GET' ? { body: 'stalled' } : undefined)
  await expect(text('a')).rejects.toMatchObject({ code: 'upstream_unreachable' })
  server.taken()
  server.fault = () => ({ status: 301, code: 'PermanentRedirect' })
  await expect(text('a')).rejects.toMatchObject({
    code: 'not_found',
    remedy: expect.stringContaining('region'),
  })
  expect(server.taken()).toHaveLength(1)
})

test('who may not ask is told what to look at, and never a secret', async () => {
  server.fault = () => ({ status: 403, code: 'AccessDenied' })
  await expect(bucket.head('a')).rejects.toMatchObject({
    code: 'denied',
    remedy: expect.stringContaining('accessKey'),
  })
  server.fault = () => undefined
  const stranger = await openBucket(server, {
    keys: async () => ({ ...S3_KEYS, secretAccessKey: 'canary-secret' }),
  })
  const error: unknown = await stranger.get('a').catch((each: unknown) => each)
  expect(error).toMatchObject({ code: 'denied', message: expect.stringContaining('SignatureDoesNotMatch') })
  expect(JSON.stringify(error) + String(error)).not.toContain('canary')
  stranger.close()
})

test('a clock that is wrong is put right, as the store says it', async () => {
  server.now = () => Date.now() + 60 * 60_000
  bucket.close()
  bucket = await openBucket(server, { attempts: 2 })
  expect(await bucket.get('a')).toBeUndefined()
})

logStorageContract('A bucket', async () => {
  server.objects.clear()
  return new StoreLog(bucket, 'log/')
})

test('of two writers of one log one is told, and what only seemed to fail has not', async () => {
  const [first, second] = [new StoreLog(bucket, 'log/'), new StoreLog(bucket, 'log/')]
  await first.replace('checkpoint', Buffer.from('1'))
  await second.read('checkpoint', 10)
  await first.replace('checkpoint', Buffer.from('2'))
  await expect(second.replace('checkpoint', Buffer.from('3'))).rejects.toMatchObject({ code: 'conflict' })
  await first.read('checkpoint', 10)
  server.fault = ({ what }) => (what === 'PUT' ? { lost: true } : undefined)
  await expect(first.replace('checkpoint', Buffer.from('4'))).rejects.toMatchObject({
    code: 'upstream_unreachable',
  })
  server.fault = () => undefined
  await first.replace('checkpoint', Buffer.from('4'))
  expect(await text('log/checkpoint')).toBe('4')
})
