import { asGatewayError, type Clock, GatewayError, isGatewayError, LIMITS } from '../../core/index.ts'
import { type Checkpoint, openCheckpoint, parseCheckpoint } from '../note/checkpoint.ts'
import { cosign } from '../note/cosignature.ts'
import type { Ed25519 } from '../note/ed25519.ts'
import type { SignerKey, VerifierKey } from '../note/keys.ts'
import { formatSignatureLine, parseNote } from '../note/note.ts'
import { type Hash, sameBytes, type TreeHasher } from '../tree/hasher.ts'
import { verifyConsistency } from '../tree/proofs.ts'
import { type AddCheckpoint, parseAddCheckpoint, SIZE_MEDIA_TYPE } from './messages.ts'

/** The last checkpoint of a log that the witness cosigned. */
export type Witnessed = { readonly size: number; readonly root: Hash; readonly signed: Uint8Array }

/** What a witness must not forget, as a port. */
export interface WitnessStorage {
  latest(origin: string): Promise<Witnessed | undefined>
  /**
   * Stores `next` as the last checkpoint of the log if the one there still has `before` entries (undefined: there is
   * none), in one step, whoever else does the same. For good when it resolves; false when it did not store.
   */
  advance(origin: string, before: number | undefined, next: Witnessed): Promise<boolean>
  /** Keeps a signed checkpoint that contradicts the one stored: with it, proof that the log has lied. */
  keepContradiction(origin: string, signed: Uint8Array): Promise<void>
}

export type WitnessOptions = {
  /** The logs that are witnessed: a key's name is the origin of its log. */
  readonly logs: readonly VerifierKey[]
  /** Of the type `cosignature`. */
  readonly signer: SignerKey
  readonly storage: WitnessStorage
  readonly hasher: TreeHasher
  readonly ed25519: Ed25519
  readonly clock: Clock
  /** Hears of a log that signed two trees of one size. */
  readonly onContradiction: (origin: string, size: number) => void
}

/** An answer as HTTP says it. */
export type WitnessAnswer = {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422
  readonly mediaType: string
  readonly body: string
}

/**
 * The witness: cosigns a checkpoint once it has seen that the log only grew, and never one that is smaller or other than
 * what it cosigned before. https://c2sp.org/tlog-witness
 */
export class Witness {
  readonly #options: WitnessOptions

  /** Throws `invalid` for a key that is not of a log, and for more logs than one witness takes. */
  constructor(options: WitnessOptions) {
    if (options.signer.key.type !== 'cosignature') throw new Error('a witness signs cosignatures')
    if (options.logs.length > LIMITS.witnessLogsMax) {
      throw new GatewayError('limit_exceeded', `A witness takes at most ${LIMITS.witnessLogsMax} logs.`, {
        remedy: 'Run a second witness, with a key of its own, for the rest.',
      })
    }
    for (const key of options.logs) {
      if (key.type === 'note') continue
      throw new GatewayError('invalid', `${key.name} is the public key of a witness, not of a log.`, {
        remedy: 'Give the key that signs the checkpoints of the log.',
      })
    }
    this.#options = options
  }

  /** Answers `add-checkpoint`. Throws only what its storage and its key throw: then nothing was promised. */
  async addCheckpoint(body: Uint8Array): Promise<WitnessAnswer> {
    let request: AddCheckpoint
    let checkpoint: Checkpoint
    try {
      request = parseAddCheckpoint(body)
      checkpoint = parseCheckpoint(parseNote(request.signed).text)
    } catch (error) {
      return refusal(400, error)
    }
    const { origin, size, root } = checkpoint
    const logKeys = this.#options.logs.filter(({ name }) => name === origin)
    if (logKeys.length === 0) return plain(404, 'This witness does not know a log of that origin.')
    try {
      await openCheckpoint(this.#options.ed25519, request.signed, { origin, logKeys })
    } catch (error) {
      return refusal(403, error)
    }
    if (request.oldSize > size) return plain(400, 'The old size is larger than the checkpoint.')
    const { storage, hasher, signer, clock } = this.#options
    const last = await storage.latest(origin)
    if (request.oldSize !== (last?.size ?? 0)) return conflict(last)
    if (last !== undefined && size === last.size && !sameBytes(root, last.root)) {
      await storage.keepContradiction(origin, request.signed)
      this.#options.onContradiction(origin, size)
      return conflict(last)
    }
    const { proof, oldSize, signed } = request
    const claim = { oldSize, size, oldRoot: last?.root ?? hasher.empty, root, proof }
    if (!verifyConsistency(hasher, claim))
      return plain(422, 'The proof does not show that the log only grew.')
    // Signed before it is stored, so that a key that fails promises nothing; handed out only after.
    const { text } = parseNote(signed)
    const line = formatSignatureLine(await cosign(signer, text, Math.floor(clock.now() / 1_000)))
    if (!(await storage.advance(origin, last?.size, { size, root, signed })))
      return conflict(await storage.latest(origin))
    return { status: 200, mediaType: 'text/plain; charset=utf-8', body: line }
  }
}

/** What the witness cosigned last, so that the log can prove from there. */
function conflict(last: Witnessed | undefined): WitnessAnswer {
  return { status: 409, mediaType: SIZE_MEDIA_TYPE, body: `${last?.size ?? 0}\n` }
}

function refusal(status: 400 | 403, error: unknown): WitnessAnswer {
  if (!isGatewayError(error)) throw asGatewayError(error)
  return plain(status, error.message)
}

function plain(status: 400 | 403 | 404 | 422, sentence: string): WitnessAnswer {
  return { status, mediaType: 'text/plain; charset=utf-8', body: `${sentence}\n` }
}
