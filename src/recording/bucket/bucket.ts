import type { Content } from './content.ts'

/** What a store knows of an object. */
export type ObjectFacts = {
  readonly bytes: number
  /** Changes with its content; for conditions only. */
  readonly etag: string
  /** SHA-256 as the store computed it, in the form of `Content.checksum`; undefined where it keeps none. */
  readonly checksum: string | undefined
}

/** When an object may be stored: where there is none, or in place of the one that is known. */
export type Condition = { readonly ifAbsent: true } | { readonly ifEtag: string }

export type StoredObject = ObjectFacts & { readonly body: AsyncIterable<Uint8Array> }

/** In a folder: an object, or a further folder, which has no length. */
export type Listed = { readonly name: string; readonly bytes: number | undefined }

/**
 * A bucket below one prefix, as a port. Names have `/` between their parts and never begin with one. Every method throws
 * GatewayError: `upstream_unreachable` where it may work another time, `denied` where the store does not know who asks or does
 * not let it; whether something was then stored is open, but never a part of it.
 */
export interface Bucket {
  head(name: string): Promise<ObjectFacts | undefined>
  /** The object, as its bytes come; undefined when there is none. A body that ends too early throws. */
  get(name: string): Promise<StoredObject | undefined>
  /** Stores the whole, for good when it resolves, and gives its etag; undefined, with nothing stored, where the condition does not hold. */
  put(name: string, content: Content, condition: Condition): Promise<string | undefined>
  /** What is in a folder, which is empty or ends in `/`. */
  list(folder: string): AsyncIterable<Listed>
  /** Removes an object; does nothing where there is none. */
  remove(name: string): Promise<void>
  /** Takes away uploads in parts that were begun before that time (milliseconds since 1970) and never ended; tells how many. */
  abandon(before: number): Promise<number>
  close(): void
}
