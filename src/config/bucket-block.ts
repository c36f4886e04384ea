import type { SecretRef } from '../core/index.ts'

/** Where recordings are kept beside this machine, and the secrets that it takes. */
export type BucketBlock = {
  readonly settings: {
    readonly bucket: string
    /** Empty, or ends in `/`. */
    readonly prefix: string
    readonly endpoint: string | undefined
    readonly region: string | undefined
    readonly pathStyle: boolean
    readonly spoolBytesMax: number
  }
  readonly secrets: { readonly accessKey?: SecretRef; readonly secretKey?: SecretRef }
}
