import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { SessionId } from '../../core/index.ts'
import { BucketStage, openBucket, PREFIX } from '../../testing/bucket-stage.ts'
import { type S3Fault, S3Server } from '../../testing/s3-server.ts'

let server: S3Server
let stage: BucketStage

beforeAll(async () => {
  server = await S3Server.open()
})
afterAll(() => server.close())
beforeEach(async () => {
  server.objects.clear()
  server.uploads.clear()
  server.taken()
  server.fault = () => undefined
  server.keepsChecksums = true
  stage = await BucketStage.open(server)
  server.now = Date.now
})
afterEach(() => stage.close())

/** What an auditor finds proved in the bucket. */
async function proved(): Promise<string[]> {
  const verdict = await stage.verify()
  expect(verdict.failures).toEqual([])
  expect(verdict.proved).toBe(true)
  return verdict.sessions.filter(({ state }) => state === 'proved').map(({ session }) => session)
}

describe('killed or troubled at each request', () => {
  const sessions: SessionId[] = []

  /** Does all there is, with a fault at request `n`; tells whether there was one. */
  async function passWith(n: number, fault: S3Fault): Promise<boolean> {
    server.taken()
    let hit = false
    server.fault = (asked) => {
      if (asked.n !== n) return undefined
      hit = true
      return fault
    }
    const impatient = await openBucket(server, { silenceMs: 2_000 })
    await stage
      .uploader({ wholeBytesMax: 1_000, bucket: impatient })
      .pass(true)
      .catch(() => undefined)
    impatient.close()
    server.fault = () => undefined
    return hit
  }

  beforeEach(async () => {
    sessions.length = 0
    sessions.push(stage.session(), stage.session(2_500))
    await stage.seal()
  })

  test.each<[string, S3Fault]>([
    ['answers 500', { status: 500, code: 'InternalError' }],
    ['answers SlowDown', { status: 503, code: 'SlowDown' }],
    ['does not let it in', { status: 403, code: 'AccessDenied' }],
    ['ends the connection before it has done it', { cut: true }],
    ['ends the connection behind it, as for who is killed', { lost: true }],
    ['never answers', { stall: true }],
    ['cuts its answer', { body: 'cut' }],
    ['sends another byte', { body: 'damaged' }],
  ])('a store that %s loses nothing, and its bucket is never less than it says', async (_what, fault) => {
    let n = 1
    for (; n < 100; n++) {
      server.objects.clear()
      server.uploads.clear()
      rmSync(join(stage.directory, 'uploads'), { recursive: true, force: true })
      if (!(await passWith(n, fault))) break
      // Up to what its checkpoint covers, all is there, whatever happened.
      if (server.objects.has(`${PREFIX}log/checkpoint`)) expect(await proved()).toEqual(sessions)
      expect(sessions.map((each) => stage.isHere(each))).toEqual([true, true])
      // Another process goes on.
      const next = stage.uploader({ wholeBytesMax: 1_000 })
      await next.pass(true)
      expect(await proved(), `request ${n}`).toEqual(sessions)
      expect(next.state).toMatchObject({ waitingFiles: 0, refused: 0 })
    }
    expect(n).toBeGreaterThan(14)
  })
})
