/**
 * Run by a test as a process of its own, which has system calls fail or kills it: once a line comes, uploads all that is
 * sealed, lets go of it here, and fetches one session back. Prints what came of each.
 */
import { once } from 'node:events'
import { openS3 } from '../recording/bucket/s3.ts'
import { type BucketSettings, placeOf } from '../recording/bucket/settings.ts'
import { Uploader } from '../recording/bucket/uploader.ts'
import { isSessionId } from '../recording/files/names.ts'
import { FakeClock } from './fake-clock.ts'
import { testKeys } from './recording-keys.ts'
import { S3_KEYS } from './s3-server.ts'

const [directory = '', bucket = '', session = ''] = process.argv.slice(2)
if (!isSessionId(session)) throw new Error('usage: uploader-program.ts DATA_DIRECTORY SETTINGS SESSION')

const settings: BucketSettings = JSON.parse(bucket)
const uploader = new Uploader({
  directory,
  keys: testKeys,
  clock: new FakeClock(),
  bucket: await openS3(settings, { keys: async () => S3_KEYS, attempts: 1, silenceMs: 20_000 }),
  place: placeOf(settings),
  spoolBytesMax: 0,
  wholeBytesMax: 1_000,
  onFault: () => undefined,
})

async function tried(what: string, work: Promise<void>): Promise<void> {
  const said = await work.then(
    () => 'done',
    (error: unknown) => `failed ${error instanceof Error && 'code' in error ? error.code : String(error)}`,
  )
  await new Promise<void>((resolve) => void process.stdout.write(`${what} ${said}\n`, () => resolve()))
}

process.stdout.write('ready\n')
await once(process.stdin, 'data')
await tried('upload', uploader.pass(true))
await tried('fetch', uploader.fetch(session))
process.exit()
