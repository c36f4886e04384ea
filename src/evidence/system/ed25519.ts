import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { type Ed25519, PUBLIC_KEY_BYTES, SEED_BYTES, SIGNATURE_BYTES } from '../note/ed25519.ts'

/** What stands before a key of 32 bytes in DER, as OpenSSL wants it. RFC 8410 sections 4 and 7. */
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Ed25519 of Node, which is that of OpenSSL. */
export const nodeEd25519: Ed25519 = {
  keyPair(seed) {
    if (seed.length !== SEED_BYTES) throw new Error('a seed of Ed25519 has 32 bytes')
    const der = Buffer.concat([PRIVATE_PREFIX, seed])
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    der.fill(0)
    const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' })
    return {
      publicKey: publicKey.subarray(PUBLIC_PREFIX.length),
      sign: (message) => sign(null, message, key),
    }
  },
  verify(publicKey, message, signature) {
    if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false
    const der = Buffer.concat([PUBLIC_PREFIX, publicKey])
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
    return verify(null, message, key, signature)
  },
}
