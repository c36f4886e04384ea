/** Signs with one key, wherever that is: 64 bytes, RFC 8032. A key management service may take its time. */
export type Sign = (message: Uint8Array) => Uint8Array | Promise<Uint8Array>

/** Ed25519 as a port (RFC 8032). May answer later, as the one of browsers does. */
export type Ed25519 = {
  /** The key pair that a seed of 32 bytes stands for. */
  keyPair(seed: Uint8Array): { readonly publicKey: Uint8Array; readonly sign: Sign }
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean | Promise<boolean>
}

export const SEED_BYTES = 32
export const PUBLIC_KEY_BYTES = 32
export const SIGNATURE_BYTES = 64
