import type { Network, RandomBytes, Secret, SecretRef } from '../core/index.ts'

/** What a look at an upstream needs; it is no session and carries nothing of a client's. */
export type ProbePorts = {
  readonly network: Network
  readonly random: RandomBytes
  resolveSecret(reference: SecretRef): Promise<Secret>
  /** As that of the context of a protocol. */
  configuredSecrets?(): Promise<readonly string[]>
}
