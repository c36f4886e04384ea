/**
 * Where a log lies, as a port: named pieces of bytes, such as files below a directory or objects in a bucket. Paths
 * have `/` between their parts and never begin with one. Every method throws what its storage throws; whether something
 * was then stored is open, but never a part of it.
 */
export interface LogStorage {
  /** The whole piece; undefined when there is none. Throws when it has more than `bytesMax` bytes. */
  read(path: string, bytesMax: number): Promise<Uint8Array | undefined>
  /** Stores a piece where there is none, whole or not at all, for good when it resolves; false when there is one. */
  putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean>
  /** Stores a piece in place of what is there: readers see the old or the new one. For good when it resolves. */
  replace(path: string, bytes: Uint8Array): Promise<void>
  /** Removes every piece below the path, which ends in `/`. */
  removeBelow(path: string): Promise<void>
}
