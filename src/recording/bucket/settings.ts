import type { SecretRef } from '../../core/index.ts'

/** Where recordings are kept, and the secrets that it takes. */
export type RecordingStore = { readonly settings: StoreSettings; readonly secrets: StoreSecretRefs }

/** Plain data: it goes to another thread. */
export type StoreSettings = BucketSettings & {
  /** Bytes of session files that stay on this machine at most, once they are in the store. */
  readonly spoolBytesMax: number
}

/** A bucket, and what stands before each name in it. */
export type BucketSettings = {
  readonly bucket: string
  /** Empty, or ends in `/`. */
  readonly prefix: string
  /** Undefined: that of AWS, by the region. */
  readonly endpoint: string | undefined
  /** Undefined: what the environment says. */
  readonly region: string | undefined
  /** The bucket stands in the path and not in the name of the host. */
  readonly pathStyle: boolean
}

/** Absent: the environment, the container or the instance says who the gateway is, in the order of the SDK. */
export type StoreSecretRefs = { readonly accessKey?: SecretRef; readonly secretKey?: SecretRef }

export type AccessKeys = { readonly accessKeyId: string; readonly secretAccessKey: string }

/** How a bucket is called in messages, and which one marks are of. */
export function placeOf({ bucket, prefix, endpoint }: BucketSettings): string {
  const at = endpoint === undefined ? '' : ` at ${endpoint}`
  return `s3://${bucket}/${prefix}${at}`
}
