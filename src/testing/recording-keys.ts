import { type KeyObject, randomBytes } from 'node:crypto'
import { logSeeds, parseMasterKeys, recordingKeys } from '../connections/index.ts'
import type { RandomBytes, RecordingKeys } from '../core/index.ts'

/** The recording key of tests and vectors: that of the master key whose bytes are 0, 1, 2 to 31. */
export const testKeys: RecordingKeys = keysOf(Buffer.from(Array.from({ length: 32 }, (_, index) => index)))

/** The seeds of the log's keys under the same master key. */
export const testSeeds = seedsOf(Buffer.from(Array.from({ length: 32 }, (_, index) => index)))

export function seedsOf(masterKey: Buffer): readonly [KeyObject, ...KeyObject[]] {
  return logSeeds(parseMasterKeys(masterKey.toString('base64'), 'SLUICE_KEY'))
}

/** The recording keys of a gateway whose SLUICE_KEY is this. */
export function keysOf(masterKeys: string | Buffer): RecordingKeys {
  const text = typeof masterKeys === 'string' ? masterKeys : masterKeys.toString('base64')
  return recordingKeys(parseMasterKeys(text, 'SLUICE_KEY'))
}

export const random: RandomBytes = (length) => randomBytes(length)
