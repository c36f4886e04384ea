import { asGatewayError, GatewayError } from '../../core/index.ts'
import { parseCheckpoint } from '../note/checkpoint.ts'
import type { Ed25519 } from '../note/ed25519.ts'
import { isSameKey, type NoteSignature, type VerifierKey } from '../note/keys.ts'
import { formatNote, parseNote, parseSignatureLines, verifyNote } from '../note/note.ts'
import { decodeText, encodeText } from '../note/text.ts'
import type { Hash } from '../tree/hasher.ts'
import { formatAddCheckpoint, parseSize, SIZE_MEDIA_TYPE } from './messages.ts'

/** A witness's answer, not yet believed. */
export type WitnessReply = {
  readonly status: number
  readonly mediaType: string
  readonly body: Uint8Array
}

/** A witness that a log sends its checkpoints to. */
export type WitnessPeer = {
  /** Of the type `cosignature`. */
  readonly key: VerifierKey
  /** Posts a body to its `add-checkpoint`. Throws GatewayError when there is no answer in time. */
  post(body: Uint8Array): Promise<WitnessReply>
}

/** Makes the proofs that a witness asks for: a reader of the log at the size of the checkpoint. */
export type Prover = { readonly size: number; consistencyProof(oldSize: number): Promise<readonly Hash[]> }

/** A conflict tells where to prove from; a second one in a row means that somebody else speaks for this log. */
const ATTEMPTS = 3

/** Sends the checkpoints of one log to one witness, one at a time, and keeps in mind how far the witness has seen. */
export class WitnessClient {
  readonly #ed25519: Ed25519
  readonly #peer: WitnessPeer
  #seen = 0

  constructor(ed25519: Ed25519, peer: WitnessPeer) {
    this.#ed25519 = ed25519
    this.#peer = peer
  }

  get name(): string {
    return this.#peer.key.name
  }

  /**
   * The witness's cosignature under a signed checkpoint, verified. Throws `conflict` where the witness has seen more of
   * the log than there is, or another tree; `denied` where it does not know the log or refuses the proof; `invalid` for
   * an answer that is none; and what posting throws.
   */
  async cosign(signed: Uint8Array, prover: Prover): Promise<NoteSignature> {
    const { text } = parseNote(signed)
    const { size } = parseCheckpoint(text)
    if (prover.size !== size) throw new Error('a proof is made at the size of its checkpoint')
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const oldSize = Math.min(this.#seen, size)
      const proof = await prover.consistencyProof(oldSize)
      const reply = await this.#peer.post(formatAddCheckpoint({ oldSize, proof, signed }))
      if (reply.status === 200) {
        const signature = await this.#signatureIn(reply.body, text)
        this.#seen = size
        return signature
      }
      if (reply.status !== 409) throw this.#refused(reply.status)
      const seen = reply.mediaType.startsWith(SIZE_MEDIA_TYPE) ? parseSize(reply.body) : undefined
      if (seen === undefined) throw this.#nonsense()
      if (seen > size) throw this.#contradicted(`has cosigned ${seen} entries of this log, which has ${size}`)
      if (seen === oldSize) throw this.#contradicted(`has cosigned another tree of ${seen} entries`)
      this.#seen = seen
    }
    throw this.#contradicted('names another size each time it is asked')
  }

  async #signatureIn(body: Uint8Array, text: string): Promise<NoteSignature> {
    const { key } = this.#peer
    const signatures = parseSignatureLines(decodeText(body, 'The answer of a witness'))
    const own = signatures.find((each) => isSameKey(each, key))
    if (own === undefined) throw this.#nonsense()
    await verifyNote(this.#ed25519, { text, signatures: [own] }, [key])
    return own
  }

  #refused(status: number): GatewayError {
    const code = status === 403 || status === 404 || status === 422 ? 'denied' : 'upstream_unreachable'
    return new GatewayError(code, `The witness ${this.name} answered ${status} to a checkpoint.`, {
      remedy: REMEDIES.get(status) ?? 'It will be asked again with the next checkpoint; look at its own log.',
      retry: code === 'denied' ? 'never' : 'later',
      facts: { status },
    })
  }

  #nonsense(): GatewayError {
    return new GatewayError('invalid', `The witness ${this.name} did not answer as a witness does.`, {
      remedy: 'Check that its URL leads to it, and that its public key is the one it prints.',
    })
  }

  #contradicted(what: string): GatewayError {
    return new GatewayError('conflict', `The witness ${this.name} ${what}.`, {
      remedy:
        'Was the log brought back from an older copy, or does another gateway sign with its key? Nobody will believe its checkpoints until that is cleared up.',
    })
  }
}

const REMEDIES: ReadonlyMap<number, string> = new Map([
  [403, 'Give the witness the public key that the log signs with now.'],
  [404, 'Give the witness the public key of this log: `sluice witness serve --log VKEY`.'],
  [422, 'The log is not what the witness saw of it: verify it before anything else.'],
])

export type Collected = {
  /** The checkpoint with every signature it had, and those that came. */
  readonly signed: Uint8Array
  readonly cosigned: readonly string[]
  readonly failed: readonly { readonly witness: string; readonly error: GatewayError }[]
}

/** Asks all witnesses at once, and waits for each as long as its `post` does. Never throws for one that fails. */
export async function collectCosignatures(
  witnesses: readonly WitnessClient[],
  signed: Uint8Array,
  prover: Prover,
): Promise<Collected> {
  const note = parseNote(signed)
  const outcomes = await Promise.allSettled(witnesses.map((witness) => witness.cosign(signed, prover)))
  const signatures = [...note.signatures]
  const cosigned: string[] = []
  const failed: { readonly witness: string; readonly error: GatewayError }[] = []
  outcomes.forEach((outcome, at) => {
    const witness = witnesses[at]?.name ?? ''
    if (outcome.status === 'rejected') failed.push({ witness, error: asGatewayError(outcome.reason) })
    else {
      cosigned.push(witness)
      signatures.push(outcome.value)
    }
  })
  return { signed: encodeText(formatNote({ ...note, signatures })), cosigned, failed }
}
