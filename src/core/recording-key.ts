import type { KeyObject } from 'node:crypto'

/**
 * 32 secret bytes that wrap the keys of recording files. `id` (16 hexadecimal digits) tells which, and nothing about
 * the key.
 */
export type RecordingKey = { readonly id: string; readonly key: KeyObject }

/** The first key is for new files; the others only read what was written before a rotation. */
export type RecordingKeys = readonly [RecordingKey, ...RecordingKey[]]
