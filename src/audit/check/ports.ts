import type { Ed25519 } from '../../evidence/note/ed25519.ts'
import type { Sha256 } from '../../evidence/tree/hasher.ts'

/** Where a recording lies: a data directory, or what a web server shows of one. Paths have `/` between their parts. */
export interface AuditSource {
  /** The bytes of a file, from its beginning, as they come; undefined where there is none. Throws what reading throws. */
  read(path: string): Promise<AsyncIterable<Uint8Array> | undefined>
  /**
   * The names in a folder, none where there is no such folder. Left out where nobody can tell, as over HTTP; undefined of a folder
   * of which nobody can.
   */
  list?(path: string): Promise<readonly string[] | undefined>
}

/** What verifying needs of the machine it runs on: handed in, so that a browser can do it as well. */
export type Primitives = {
  readonly sha256: Sha256
  /** SHA-256 of some bytes, written to `out` from `at` on: for the many small ones, of which each would be garbage. */
  sha256Into(bytes: Uint8Array, out: Uint8Array, at: number): void
  readonly ed25519: Ed25519
  /** CRC-32 of zlib. */
  crc32(bytes: Uint8Array): number
  /** One zstd frame (RFC 8878) of exactly `size` bytes. Throws for anything else, without making more. */
  unzstd(bytes: Uint8Array, size: number): Uint8Array
}

/** One chunk of a sealed session file, whole, and its public part decompressed. */
export type RawChunk = { readonly bytes: Uint8Array; readonly publicBytes: Uint8Array }

/** What is wrong with a payload, or that it was taken out. */
export type PayloadFinding = {
  readonly sequence: number
  readonly payload: string
  readonly state: 'removed' | 'wrong'
}

/**
 * Opens payloads, for who has recording keys. Gives undefined where the key of a file is not at hand; throws with the
 * reason where it is, and does not open the file.
 */
export type PayloadOpener = (header: {
  readonly session: string
  readonly keyId: string
  readonly wrapped: string
}) => ((chunk: RawChunk) => readonly PayloadFinding[]) | undefined
