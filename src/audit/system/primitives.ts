import { hash } from 'node:crypto'
import { crc32, zstdDecompressSync } from 'node:zlib'
import { HASH_BYTES } from '../../evidence/tree/hasher.ts'
import { nodeEd25519 } from '../../evidence/system/ed25519.ts'
import { nodeSha256 } from '../../evidence/system/sha256.ts'
import type { Primitives } from '../check/ports.ts'

/** What a verifier needs, as Node has it. */
export const nodePrimitives: Primitives = {
  sha256: nodeSha256,
  sha256Into(bytes, out, at) {
    const digest = hash('sha256', bytes, 'binary')
    for (let i = 0; i < HASH_BYTES; i++) out[at + i] = digest.charCodeAt(i)
  },
  ed25519: nodeEd25519,
  crc32: (bytes) => crc32(bytes),
  unzstd(bytes, size) {
    // One piece of memory of the right length, and a little beside, in which zstd sees that it is done.
    const found = zstdDecompressSync(bytes, { maxOutputLength: Math.max(size, 1), chunkSize: size + 1_024 })
    if (found.length !== size) throw new Error('it has another length when decompressed than it says')
    // Not a Buffer: views of one are made by its own code, which takes longer.
    return new Uint8Array(found.buffer, found.byteOffset, found.length)
  },
}
