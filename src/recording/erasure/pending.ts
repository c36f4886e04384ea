import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError, type RecordingKeys, type SessionId } from '../../core/index.ts'
import { isMissing, listIfThere, syncDirectory } from '../files/files.ts'
import { erasuresDirectory, isSessionId } from '../files/names.ts'
import { type ErasureScope, scopeIn } from './scope.ts'

/** An erasure that somebody asked for. */
export type ErasureRequest = {
  readonly session: SessionId
  readonly scope: ErasureScope
  /** Who asked, and why: both go into the recording for good. */
  readonly by: string
  readonly reason: string
  /** Milliseconds since 1970. */
  readonly at: number
}

const SUFFIX = '.json'
/** A scope, who asked and a reason, each of which has a limit of its own. */
const REQUEST_BYTES_MAX = 1024 * 1024

/**
 * Erasures that were asked for and are not done, one file each in the directory `erasures`: what was accepted is done,
 * whatever happens to the process. Each has a MAC under the recording key, so that nobody has payloads erased by putting a
 * file there. Holds no payload.
 */
export class PendingErasures {
  readonly #directory: string
  readonly #keys: readonly Buffer[]

  constructor(data: string, keys: RecordingKeys) {
    this.#directory = erasuresDirectory(data)
    this.#keys = keys.map(({ key }) => Buffer.from(hkdfSync('sha256', key, '', 'sluice erasures', 32)))
  }

  /** On the disk when it resolves. */
  async add(request: ErasureRequest): Promise<string> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const name = `${request.session}.${request.at}${SUFFIX}`
    const draft = join(this.#directory, `${name}.new`)
    const file = await open(draft, 'w', 0o600)
    try {
      const text = JSON.stringify(request)
      await file.writeFile(`${text}\n${this.#macs(text)[0]?.toString('base64')}\n`)
      await file.datasync()
    } finally {
      await file.close()
    }
    await rename(draft, join(this.#directory, name))
    await syncDirectory(this.#directory)
    return name
  }

  /**
   * Oldest first of each session. What no gateway with these keys wrote, or what cannot be read, is told to `onFault` and passed
   * over: it must not keep others from being done.
   */
  async *all(
    onFault: (error: unknown) => void,
  ): AsyncGenerator<{ readonly name: string; readonly request: ErasureRequest }> {
    for (const name of (await listIfThere(this.#directory)).sort()) {
      if (!name.endsWith(SUFFIX)) continue
      let request: ErasureRequest | undefined
      try {
        request = await this.#read(name)
      } catch (error) {
        onFault(error)
      }
      if (request !== undefined) yield { name, request }
    }
  }

  async count(): Promise<number> {
    return (await listIfThere(this.#directory)).filter((name) => name.endsWith(SUFFIX)).length
  }

  async done(name: string): Promise<void> {
    await rm(join(this.#directory, name), { force: true })
    await syncDirectory(this.#directory)
  }

  async #read(name: string): Promise<ErasureRequest | undefined> {
    const path = join(this.#directory, name)
    let text = ''
    try {
      const found = await lstat(path)
      // A pipe would be waited for.
      if (found.isFile() && found.size <= REQUEST_BYTES_MAX) text = await readFile(path, 'utf8')
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
    const request = this.#own(text)
    if (request !== undefined) return request
    throw new GatewayError('invalid', `${name} in the directory erasures was not written by this gateway.`, {
      remedy: 'Find out who put it there, and take it away; ask for the erasure again.',
    })
  }

  /** What was asked for, where the MAC is that of a gateway with these keys. */
  #own(text: string): ErasureRequest | undefined {
    const [json = '', mac = ''] = text.split('\n')
    const given = Buffer.from(mac, 'base64')
    const isOwn = this.#macs(json).some(
      (each) => each.length === given.length && timingSafeEqual(each, given),
    )
    return isOwn ? requestIn(JSON.parse(json)) : undefined
  }

  #macs(text: string): Buffer[] {
    return this.#keys.map((key) => createHmac('sha256', key).update(text).digest())
  }
}

function requestIn(read: unknown): ErasureRequest | undefined {
  if (typeof read !== 'object' || read === null) return undefined
  const { session, scope, by, reason, at }: Partial<Record<keyof ErasureRequest, unknown>> = read
  if (typeof session !== 'string' || !isSessionId(session) || typeof at !== 'number') return undefined
  if (typeof by !== 'string' || typeof reason !== 'string') return undefined
  return { session, scope: scopeIn(scope), by, reason, at }
}
