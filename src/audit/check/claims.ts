import { isGatewayError, LIMITS } from '../../core/index.ts'
import { CHECKPOINT_PATH, COSIGNED_PATH } from '../../evidence/log/layout.ts'
import { LogReader, type LogSource } from '../../evidence/log/reader.ts'
import { type Checkpoint, openCheckpoint, parseCheckpoint } from '../../evidence/note/checkpoint.ts'
import { isSameKey, parseVerifierKey, type VerifierKey } from '../../evidence/note/keys.ts'
import { type Note, parseNote, type Verified, verifyNote } from '../../evidence/note/note.ts'
import type { TreeHasher } from '../../evidence/tree/hasher.ts'
import { verifyConsistency } from '../../evidence/tree/proofs.ts'
import type { Failures } from './failures.ts'
import { LOG_PREFIX, readWhole } from './pieces.ts'
import type { AuditSource, Primitives } from './ports.ts'

/** A checkpoint that somebody says was signed: read, and not believed yet. */
export type Claim = {
  /** Where it is from; what the user gave has no path below the data directory. */
  readonly path: string
  readonly bytes: Uint8Array
  readonly note: Note
  readonly checkpoint: Checkpoint
}

/** The name under which failures speak of the checkpoint that the user gave. */
export const SINCE_PATH = 'the checkpoint given with --since'

export type ClaimsParts = {
  readonly source: AuditSource
  readonly log: LogSource
  readonly primitives: Primitives
  readonly hasher: TreeHasher
  readonly failures: Failures
}

/** Everything that was signed about one log: its head, what witnesses cosigned, and what is known from earlier. */
export class Claims {
  readonly #parts: ClaimsParts
  readonly #claims: Claim[]
  readonly head: Claim

  private constructor(parts: ClaimsParts, head: Claim, others: readonly Claim[]) {
    this.#parts = parts
    this.head = head
    this.#claims = [head, ...others]
  }

  /** Undefined, with the failure, where there is no head to go by. */
  static async read(parts: ClaimsParts, since: Uint8Array | undefined): Promise<Claims | undefined> {
    const others: Claim[] = []
    const earlier = since === undefined ? undefined : claimOf(parts.failures, SINCE_PATH, since)
    if (earlier !== undefined) others.push(earlier)
    // This one first: then it cannot be newer than the other while the log grows.
    const cosigned = await stored(parts, COSIGNED_PATH)
    if (cosigned !== undefined) others.push(cosigned)
    const head = await stored(parts, CHECKPOINT_PATH)
    if (head === undefined) {
      const path = `${LOG_PREFIX}${CHECKPOINT_PATH}`
      if (parts.failures.count === 0)
        parts.failures.add({ code: 'missing', path, why: 'there is no checkpoint' })
      return undefined
    }
    return new Claims(parts, head, others)
  }

  /** How many entries the checkpoint that the user gave covers; 0 without one. */
  get sinceSize(): number {
    return this.#claims.find(({ path }) => path === SINCE_PATH)?.checkpoint.size ?? 0
  }

  /** The newest checkpoint that this many of the witnesses have cosigned. */
  async witnessed(
    witnesses: readonly VerifierKey[],
    needed: number,
  ): Promise<{ readonly claim: Claim; readonly by: readonly Verified[] } | undefined> {
    const { head } = this
    const newestFirst = this.#claims
      .filter(({ path }) => path !== SINCE_PATH)
      .toSorted((a, b) => b.checkpoint.size - a.checkpoint.size)
    for (const claim of newestFirst) {
      const by = await this.#cosigners(claim, witnesses)
      if (by.length >= needed) return { claim, by }
    }
    this.#parts.failures.add({
      code: 'witnesses',
      path: newestFirst.find(({ path }) => path.endsWith(COSIGNED_PATH))?.path ?? head.path,
      why: `no checkpoint has the cosignatures of ${needed} of the ${witnesses.length} witnesses that were given`,
    })
    return undefined
  }

  /** Holds every other claim against the head: the log must begin with what was signed. */
  async holdAgainstHead(): Promise<void> {
    const { failures, hasher, log } = this.#parts
    const { size, root } = this.head.checkpoint
    for (const { path, checkpoint } of this.#claims.slice(1)) {
      if (checkpoint.origin !== this.head.checkpoint.origin) {
        failures.add({ code: 'foreign', path, why: 'it is of another log' })
      } else if (checkpoint.size > size) {
        const why = `${checkpoint.size} entries were signed, and the log has only ${size}`
        failures.add({ code: 'rolled-back', path: this.head.path, entry: size, why })
      } else {
        const found = failures.count
        const old = { oldSize: checkpoint.size, oldRoot: checkpoint.root, size, root }
        const proof = await consistencyProof(new LogReader(log, hasher, size), checkpoint.size)
        if (proof !== undefined && verifyConsistency(hasher, { ...old, proof })) continue
        // Where the tree itself is damaged nothing follows from its proofs.
        if (found > 0) continue
        failures.add({
          code: 'forked',
          path,
          why: `the log does not begin with the ${checkpoint.size} entries signed there`,
        })
      }
    }
  }

  /**
   * Whether one of these keys signed the head, or something that may lead from that key to the one that did: if not,
   * nothing that the log says can make another key believed.
   */
  async isSignedByAny(keys: readonly VerifierKey[]): Promise<boolean> {
    const signers = await this.#signers(this.head, keys)
    if (signers.length > 0 || names(this.head.note, keys)) return signers.length > 0
    for (const key of keys) {
      const rotated = await this.#retired(key)
      if (rotated !== undefined) this.#claims.push(rotated)
    }
    for (const claim of this.#claims) if ((await this.#signers(claim, keys)).length > 0) return true
    return false
  }

  /**
   * Finds the keys to believe, from those that were given on: a key that the log announces is believed when a believed
   * one signed a checkpoint that has the announcement in it. Then holds the head against them.
   */
  async verifyHead(
    given: readonly VerifierKey[],
    announced: readonly { readonly entry: number; readonly vkey: string; readonly path: string }[],
  ): Promise<readonly VerifierKey[]> {
    const { failures, primitives } = this.#parts
    const believed = [...given]
    let newest: { readonly entry: number; readonly key: VerifierKey } | undefined
    for (const { entry, vkey, path } of announced) {
      const key = parsedKey(primitives, vkey)
      if (key === undefined || key.name !== this.head.checkpoint.origin || key.type !== 'note') {
        failures.add({
          code: 'unreadable',
          path,
          entry,
          why: 'the key that it announces is none of this log',
        })
        continue
      }
      newest = { entry, key }
      if (believed.some((each) => isSameKey(each, key))) continue
      for (const claim of this.#claims) {
        if (claim.checkpoint.size <= entry || (await this.#signers(claim, believed)).length === 0) continue
        believed.push(key)
        const retired = await this.#retired(key)
        if (retired !== undefined) this.#claims.push(retired)
        break
      }
    }
    for (const claim of this.#claims) {
      // Witnesses count beside the log, never instead of it.
      if ((await this.#signers(claim, believed, true)).length === 0) this.#unsigned(claim)
    }
    const signers = await this.#signers(this.head, believed)
    if (newest !== undefined && this.head.checkpoint.size > newest.entry + 1) {
      const { key } = newest
      if (signers.length > 0 && !signers.some((each) => isSameKey(each, key)))
        failures.add({
          code: 'signature',
          path: this.head.path,
          why: 'a key signed it that had been replaced',
        })
    }
    return signers
  }

  #unsigned({ path }: Claim): void {
    this.#parts.failures.add({ code: 'signature', path, why: 'no key that was given has signed it' })
  }

  /** The last checkpoint that a key signed before another took its place. */
  async #retired(key: VerifierKey): Promise<Claim | undefined> {
    return stored(this.#parts, `${CHECKPOINT_PATH}.${key.id.toString(16).padStart(8, '0')}`)
  }

  async #signers(claim: Claim, keys: readonly VerifierKey[], tell = false): Promise<readonly VerifierKey[]> {
    const { failures, primitives } = this.#parts
    const { origin } = this.head.checkpoint
    const logKeys = keys.filter(({ name, type }) => name === origin && type === 'note')
    try {
      const { verified } = await openCheckpoint(primitives.ed25519, claim.bytes, { origin, logKeys })
      return verified.map(({ key }) => key)
    } catch (error) {
      if (!isGatewayError(error)) throw error
      if (tell && names(claim.note, logKeys))
        failures.add({
          code: 'signature',
          path: claim.path,
          why: 'a signature is not that of the key it names',
        })
      return []
    }
  }

  async #cosigners(claim: Claim, witnesses: readonly VerifierKey[]): Promise<readonly Verified[]> {
    const { failures, primitives } = this.#parts
    try {
      return (await verifyNote(primitives.ed25519, claim.note, witnesses)).verified
    } catch (error) {
      if (!isGatewayError(error)) throw error
      if (names(claim.note, witnesses))
        failures.add({
          code: 'signature',
          path: claim.path,
          why: 'a cosignature is not that of the key it names',
        })
      return []
    }
  }
}

export function parsedKey({ sha256 }: Primitives, vkey: string): VerifierKey | undefined {
  try {
    return parseVerifierKey(sha256, vkey)
  } catch (error) {
    if (!isGatewayError(error)) throw error
    return undefined
  }
}

async function stored({ source, failures }: ClaimsParts, name: string): Promise<Claim | undefined> {
  const path = `${LOG_PREFIX}${name}`
  try {
    const bytes = await readWhole(source, path, LIMITS.noteBytesMax)
    return bytes === undefined ? undefined : claimOf(failures, path, bytes)
  } catch (error) {
    if (!isGatewayError(error) || error.code === 'upstream_unreachable') throw error
    failures.add({ code: 'damaged', path, why: error.message })
    return undefined
  }
}

function claimOf(failures: Failures, path: string, bytes: Uint8Array): Claim | undefined {
  try {
    const note = parseNote(bytes)
    return { path, bytes, note, checkpoint: parseCheckpoint(note.text) }
  } catch (error) {
    if (!isGatewayError(error)) throw error
    failures.add({ code: 'damaged', path, why: error.message })
    return undefined
  }
}

async function consistencyProof(
  reader: LogReader,
  oldSize: number,
): Promise<readonly Uint8Array[] | undefined> {
  try {
    return await reader.consistencyProof(oldSize)
  } catch (error) {
    if (!isGatewayError(error) || error.code === 'upstream_unreachable') throw error
    return undefined
  }
}

function names(note: Note, keys: readonly VerifierKey[]): boolean {
  return note.signatures.some((signature) => keys.some((key) => isSameKey(key, signature)))
}
