import type { SecretRef } from './secret-ref.ts'

/** A HashiCorp Vault (or OpenBao) that holds secrets, and who the gateway is to it. None of these secrets is kept in it. */
export type VaultSettings = {
  /** `https://vault.internal:8200`, without a path. */
  readonly url: string
  /** Of Vault Enterprise and OpenBao. */
  readonly namespace?: string | undefined
  /** PEM of who signs its certificate; absent: those that Node trusts. */
  readonly ca?: SecretRef | undefined
  readonly auth: VaultAuth
}

/** `mount`: where the way of logging in is mounted, below `auth/`. */
export type VaultAuth =
  | { readonly kind: 'token'; readonly token: SecretRef }
  | {
      readonly kind: 'appRole'
      readonly mount: string
      readonly roleId: SecretRef
      readonly secretId: SecretRef
    }
  | { readonly kind: 'kubernetes'; readonly mount: string; readonly role: string; readonly jwt: SecretRef }
