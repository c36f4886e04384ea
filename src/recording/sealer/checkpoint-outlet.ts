import { open, rename } from 'node:fs/promises'
import { type Clock, GatewayError, LIMITS, type Timer } from '../../core/index.ts'
import type { LogReader } from '../../evidence/log/reader.ts'
import { parseVerifierKey } from '../../evidence/note/keys.ts'
import { nodeEd25519 } from '../../evidence/system/ed25519.ts'
import { nodeSha256 } from '../../evidence/system/sha256.ts'
import { collectCosignatures, WitnessClient, type WitnessReply } from '../../evidence/witness/client.ts'
import type { LogSettings } from './settings.ts'

/** A log as it was when a checkpoint of it was signed. */
export type Signed = {
  readonly signed: Uint8Array
  readonly reader: LogReader
  keepCosigned(signed: Uint8Array): Promise<void>
}

/** What leaves the machine, handed in. */
export type OutletPorts = {
  readonly clock: Clock
  readonly witnessPost: (prefix: string) => (body: Uint8Array) => Promise<WitnessReply>
  /** Posts a checkpoint; throws GatewayError where it is not taken. */
  readonly post: (url: string, checkpoint: Uint8Array) => Promise<void>
  readonly print: (text: string) => void
  readonly onFault: (error: unknown) => void
  /** After each round: which witnesses have cosigned, and which have not. */
  readonly onWitnessed: (cosigned: readonly string[], failed: readonly string[]) => void
}

/** From the end of one round of witnesses to the next. */
const WITNESS_PAUSE_MS = 1_000

/**
 * Sends checkpoints where they are wanted: to witnesses, each round with the newest there is, and to where they are
 * published, with the cosignatures that there are. Nothing here holds up the log; what fails is told once, until it
 * works or fails otherwise.
 */
export class CheckpointOutlet {
  readonly #ports: OutletPorts
  #settings: LogSettings
  #witnesses: readonly WitnessClient[] = []
  #newest: Signed | undefined
  #asked: Signed | undefined
  #published: Uint8Array | undefined
  #latest: Uint8Array | undefined
  #timers: { witness?: Timer; publish?: Timer } = {}
  readonly #told = new Map<string, string>()
  #working = Promise.resolve()

  constructor(ports: OutletPorts, settings: LogSettings) {
    this.#ports = ports
    this.#settings = settings
    this.adopt(settings)
  }

  adopt(settings: LogSettings): void {
    this.#settings = settings
    this.#witnesses = settings.witnesses.map(({ url, key }) => {
      return new WitnessClient(nodeEd25519, {
        key: parseVerifierKey(nodeSha256, key),
        post: this.#ports.witnessPost(url),
      })
    })
    this.#asked = undefined
  }

  /** The log has a new checkpoint. */
  signed(head: Signed): void {
    this.#newest = head
    this.#latest = head.signed
    this.#later('witness', 0, () => this.#askWitnesses())
    this.#later('publish', 0, () => this.#publish())
  }

  async stop(): Promise<void> {
    this.#timers.witness?.cancel()
    this.#timers.publish?.cancel()
    await this.#working
  }

  #later(what: 'witness' | 'publish', ms: number, work: () => Promise<void>): void {
    this.#timers[what] ??= this.#ports.clock.after(ms, () => {
      this.#working = work().finally(() => {
        delete this.#timers[what]
        const pause = what === 'witness' ? WITNESS_PAUSE_MS : this.#settings.publish.everyMs
        const due = what === 'witness' ? this.#newest !== this.#asked : this.#latest !== this.#published
        if (due && this.#wanted(what)) this.#later(what, pause, work)
      })
    })
  }

  #wanted(what: 'witness' | 'publish'): boolean {
    const { file, url, stdout } = this.#settings.publish
    return what === 'witness' ? this.#witnesses.length > 0 : file !== undefined || url !== undefined || stdout
  }

  async #askWitnesses(): Promise<void> {
    const head = this.#newest
    if (head === undefined || this.#witnesses.length === 0) return
    try {
      const { signed, cosigned, failed } = await collectCosignatures(
        this.#witnesses,
        head.signed,
        head.reader,
      )
      for (const name of cosigned) this.#told.delete(`witness ${name}`)
      for (const { witness, error } of failed) this.#tell(`witness ${witness}`, error)
      if (cosigned.length > 0) {
        await head.keepCosigned(signed)
        // A newer one would be without them.
        this.#latest = signed
        this.#later('publish', this.#settings.publish.everyMs, () => this.#publish())
      }
      this.#ports.onWitnessed(
        cosigned,
        failed.map(({ witness }) => witness),
      )
      if (failed.length === 0) this.#asked = head
    } catch (error) {
      this.#tell('witnesses', error)
    }
  }

  async #publish(): Promise<void> {
    const { file, url, stdout } = this.#settings.publish
    const checkpoint = this.#latest
    if (checkpoint === undefined || checkpoint === this.#published) return
    const to = async (where: string, send: () => unknown): Promise<void> => {
      try {
        await send()
        this.#told.delete(where)
      } catch (error) {
        this.#tell(where, error)
      }
    }
    if (file !== undefined) await to('file', () => replaceFile(file, checkpoint))
    if (url !== undefined) await to('url', () => this.#ports.post(url, checkpoint))
    if (stdout) await to('stdout', () => this.#ports.print(Buffer.from(checkpoint).toString('utf8')))
    this.#published = checkpoint
  }

  #tell(what: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    if (this.#told.get(what) === message) return
    this.#told.set(what, message)
    this.#ports.onFault(error)
  }
}

async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  try {
    const file = await open(`${path}.new`, 'w', 0o644)
    try {
      await file.writeFile(bytes)
      await file.datasync()
    } finally {
      await file.close()
    }
    await rename(`${path}.new`, path)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason'
    throw new GatewayError('upstream_unreachable', `Checkpoints cannot be published to ${path} (${code}).`, {
      remedy: 'Make its directory writable for the gateway, or change recording.publish.file.',
      retry: 'later',
      cause,
    })
  }
}

/** Posts a checkpoint to where it is published. Throws `upstream_unreachable`. */
export async function postCheckpoint(url: string, checkpoint: Uint8Array): Promise<void> {
  const { request } = await import('undici')
  const { host } = new URL(url)
  const failed = (what: string, cause?: unknown): GatewayError =>
    new GatewayError('upstream_unreachable', `${host} ${what} a checkpoint.`, {
      remedy: 'It is posted again when there is a newer one; look at recording.publish.url.',
      retry: 'later',
      cause,
    })
  let status: number
  try {
    const answer = await request(url, {
      method: 'POST',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: checkpoint,
      signal: AbortSignal.timeout(LIMITS.witnessAnswerMs),
    })
    status = answer.statusCode
    await answer.body.dump()
  } catch (cause) {
    throw failed('does not take', cause)
  }
  if (status < 200 || status > 299) throw failed(`answered ${status} to`)
}
