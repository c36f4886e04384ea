import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type AuditSource, nodePrimitives, type Verdict, verifyRecording } from '../audit/index.ts'
import { bucketAuditSource } from '../cli/audit/bucket-source.ts'
import type { SessionId } from '../core/index.ts'
import { DirectoryStorage, nodeSha256, parseVerifierKey } from '../evidence/index.ts'
import type { Bucket } from '../recording/bucket/bucket.ts'
import { openS3, type S3Options } from '../recording/bucket/s3.ts'
import { type BucketSettings, placeOf } from '../recording/bucket/settings.ts'
import { Uploader, type UploaderOptions } from '../recording/bucket/uploader.ts'
import { logDirectory, sessionFile } from '../recording/files/names.ts'
import { type FileJournal, openJournal } from '../recording/journal/journal.ts'
import type { SealerOptions } from '../recording/sealer/sealer.ts'
import { closeEntry, openEntry, outcomeEntry, sessionId } from './entries.ts'
import { FakeClock } from './fake-clock.ts'
import { memoryDirectory, unsyncedFiles } from './faulty-files.ts'
import { filesSource } from './files-source.ts'
import { random, testKeys } from './recording-keys.ts'
import { S3_BUCKET, S3_KEYS, type S3Server } from './s3-server.ts'
import { seal } from './seal.ts'

export const PREFIX = 'gateway-1/'

/** How the stand-in is reached. */
export function bucketOf(server: S3Server): BucketSettings {
  return {
    bucket: S3_BUCKET,
    prefix: PREFIX,
    endpoint: server.endpoint,
    region: 'us-east-1',
    pathStyle: true,
  }
}

/** A bucket of the stand-in, by way of the SDK; a request is tried once. */
export function openBucket(server: S3Server, options: S3Options = {}): Promise<Bucket> {
  return openS3(bucketOf(server), { keys: async () => S3_KEYS, attempts: 1, silenceMs: 20_000, ...options })
}

/** What the stand-in has, without asking it. */
function memorySource(server: S3Server): AuditSource {
  const objects = [...server.objects].filter(([key]) => key.startsWith(PREFIX))
  const source = filesSource(new Map(objects.map(([key, { bytes }]) => [key.slice(PREFIX.length), bytes])))
  return { ...source, list: async (path) => (path === 'journal' ? undefined : await source.list?.(path)) }
}

/** A data directory with a journal that is sealed when asked, a bucket, and what brings the one into the other. */
export class BucketStage {
  readonly directory = mkdtempSync(join(memoryDirectory(), 'sluice-bucket-'))
  readonly clock = new FakeClock()
  readonly faults: string[] = []
  readonly bucket: Bucket
  readonly #server: S3Server
  #journal: FileJournal

  private constructor(server: S3Server, bucket: Bucket) {
    this.#server = server
    this.bucket = bucket
    this.#journal = this.#open()
  }

  static async open(server: S3Server): Promise<BucketStage> {
    return new BucketStage(server, await openBucket(server))
  }

  get journal(): FileJournal {
    return this.#journal
  }

  /** A session that has ended, with so many bytes of result that no compression makes less. */
  session(bytes = 10): SessionId {
    this.clock.advance(1_000)
    const id = sessionId(this.clock.now())
    this.#journal.append(id, openEntry())
    this.#journal.append(id, outcomeEntry(1, {}, random(bytes)))
    this.#journal.append(id, closeEntry(1))
    this.#journal.flush()
    return id
  }

  /** Seals all there is; the journal keeps only what is not sealed. */
  async seal(rest: Partial<SealerOptions> = {}): Promise<void> {
    this.#journal.close()
    this.#journal = this.#open()
    const storage = await DirectoryStorage.open(logDirectory(this.directory))
    await seal(this.directory, this.clock, { storage, indexed: () => Number.MAX_SAFE_INTEGER, ...rest })
  }

  uploader(rest: Partial<UploaderOptions> = {}): Uploader {
    return new Uploader({
      directory: this.directory,
      keys: testKeys,
      clock: this.clock,
      bucket: this.bucket,
      place: placeOf(bucketOf(this.#server)),
      spoolBytesMax: 1024 ** 3,
      onFault: (error) => this.faults.push(error instanceof Error ? error.message : String(error)),
      ...rest,
    })
  }

  /** What an auditor says of the bucket, by the public key alone; `asked`: by way of the store, and not of the stand-in's memory. */
  async verify({
    since,
    asked = false,
  }: {
    readonly since?: Uint8Array | undefined
    readonly asked?: boolean
  } = {}): Promise<Verdict> {
    const key = parseVerifierKey(
      nodeSha256,
      readFileSync(join(logDirectory(this.directory), 'key'), 'utf8').trim(),
    )
    const source = asked ? bucketAuditSource(this.bucket) : memorySource(this.#server)
    return await verifyRecording({
      source,
      primitives: nodePrimitives,
      keys: [key],
      ...(since === undefined ? {} : { since }),
    })
  }

  isHere(session: SessionId): boolean {
    return existsSync(sessionFile(this.directory, session))
  }

  /** Another machine with the same files. */
  copyTo(directory: string): void {
    cpSync(this.directory, directory, { recursive: true })
  }

  close(): void {
    this.#journal.close()
    this.bucket.close()
    rmSync(this.directory, { recursive: true, force: true })
  }

  #open(): FileJournal {
    return openJournal({
      directory: this.directory,
      keys: testKeys,
      random,
      clock: this.clock,
      files: unsyncedFiles,
      onFault: (error) => this.faults.push(String(error)),
    })
  }
}
