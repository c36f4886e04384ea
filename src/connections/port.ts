/** A secret as it lies on the disk. Without the master key it is noise. */
export type SealedSecret = {
  readonly name: string
  /** Which master key opens it. */
  readonly keyId: string
  readonly nonce: Uint8Array
  /** AES-256-GCM ciphertext, its 16-byte tag at the end. */
  readonly sealed: Uint8Array
  readonly updatedAt: number
  readonly updatedBy: string
}

/** Where sealed secrets are kept. A promise resolves only when what it did is on the disk. */
export interface SealedSecretStore {
  all(): Promise<readonly SealedSecret[]>
  /** Adds, or replaces the one of the same name. */
  put(secret: SealedSecret): Promise<void>
  /** Adds it unless there is one of that name; gives the one that is kept. Of several at once one is kept. */
  keepFirst(secret: SealedSecret): Promise<SealedSecret>
  /** An unknown name is nothing to do. */
  remove(name: string): Promise<void>
}
