import type { KeyObject } from 'node:crypto'
import { createHmac, createSecretKey, hkdfSync } from 'node:crypto'
import { mkdir, open, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve } from 'node:path'
import type { RandomBytes } from '../core/index.ts'
import { GatewayError } from '../core/index.ts'
import { runSecretCommand } from './command.ts'
import type { Warn } from './secret-file.ts'
import { codeOf, readSecretFile } from './secret-file.ts'

const KEY_BYTES = 32
const PREFIX = 'sluice-key-'

/** A key that seals secrets, and from which that of the recording is derived; `id` tells which, and nothing about the key. */
export type MasterKey = { readonly id: string; readonly key: KeyObject }

/** The first key seals; the others only open what was sealed before a rotation. */
export type MasterKeys = readonly [MasterKey, ...MasterKey[]]

export type MasterKeySource = {
  /** `SLUICE_KEY` may hold the keys instead of a file. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly keyFile?: string
  /** A command line that prints them: of a key service, or of whatever keeps secrets here. */
  readonly keyCommand?: string
  readonly dataDirectory: string
  /** A demonstration may keep its key beside its data: nothing in it is worth a secret. */
  readonly demo: boolean
  readonly warn: Warn
}

/**
 * Reads the master keys, from SLUICE_KEY, from a file outside the data directory, or from what a command prints: a copy
 * of the data directory alone must be worth nothing. Throws `invalid` when there is no key, more than one source, a key
 * inside the data directory, or something that is not a key.
 */
export async function loadMasterKeys(source: MasterKeySource): Promise<MasterKeys> {
  const { environment, keyFile, keyCommand } = source
  const inEnvironment = environment.SLUICE_KEY
  const given = [
    ...(inEnvironment === undefined ? [] : ['in SLUICE_KEY']),
    ...(keyFile === undefined ? [] : ['as a file']),
    ...(keyCommand === undefined ? [] : ['as a command']),
  ]
  if (given.length > 1) {
    const [first, second] = given
    throw new GatewayError('invalid', `The master key is given twice: ${first} and ${second}.`, {
      remedy: 'Leave out one of them; to rotate, put the old key behind the new one in the same place.',
    })
  }
  if (inEnvironment !== undefined) return parseMasterKeys(inEnvironment, 'SLUICE_KEY')
  if (keyCommand !== undefined) {
    return parseMasterKeys(await runSecretCommand(keyCommand, environment), 'what the command printed')
  }
  if (keyFile === undefined) {
    throw new GatewayError('invalid', 'There is no master key to seal secrets and recordings with.', {
      remedy:
        'Name a key file outside the data directory, or a command that prints the key, or set SLUICE_KEY.',
    })
  }
  if (!source.demo) await refuseInside(keyFile, source.dataDirectory)
  return parseMasterKeys(await readSecretFile(keyFile, source.warn), keyFile)
}

/**
 * Keys, one per line or word, the one that seals first; `#` begins a comment. Each is `sluice-key-` and 32 bytes in
 * base64url, or just 32 bytes in base64 as `openssl rand -base64 32` prints them.
 */
export function parseMasterKeys(text: string, where: string): MasterKeys {
  const keys = text
    .replace(/#.*$/gm, '')
    .split(/[\s,]+/)
    .filter((word) => word !== '')
    .map((word, index) => parseKey(word, `${where}, key ${index + 1}`))
  const [first, ...others] = keys
  if (first === undefined) throw new GatewayError('invalid', `${where} holds no master key.`)
  return [first, ...others]
}

/** 32 secret bytes for one purpose, the same for the same master key. Nothing can be told of the key from them. */
export function deriveKey([{ key }]: MasterKeys, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, '', `sluice ${purpose}`, KEY_BYTES))
}

/** Writes a new key into a new file that only its owner may read. Throws `conflict` when there is one already. */
export async function createMasterKeyFile(path: string, random: RandomBytes): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(`${PREFIX}${Buffer.from(random(KEY_BYTES)).toString('base64url')}\n`)
      // A key that a power cut takes away takes every sealed secret with it.
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    throw new GatewayError('conflict', `${path} exists already; a master key is never overwritten.`)
  }
}

function parseKey(word: string, where: string): MasterKey {
  const text = word.startsWith(PREFIX) ? word.slice(PREFIX.length) : word
  const bytes = /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? Buffer.from(text, 'base64') : undefined
  if (bytes === undefined || bytes.length !== KEY_BYTES) {
    throw new GatewayError('invalid', `${where} is not a master key.`, {
      remedy: 'A key is 32 random bytes in base64, such as `openssl rand -base64 32` prints.',
    })
  }
  const id = createHmac('sha256', bytes).update('sluice master key id').digest('hex').slice(0, 16)
  return { id, key: createSecretKey(bytes) }
}

async function refuseInside(keyFile: string, dataDirectory: string): Promise<void> {
  const key = await realPathOf(keyFile)
  const data = await realPathOf(dataDirectory)
  const inside = relative(data, key)
  if (inside.startsWith('..') || isAbsolute(inside)) return
  throw new GatewayError('invalid', `The master key ${keyFile} lies inside the data directory.`, {
    remedy: 'Move it elsewhere: whoever copies the data directory would have the key as well.',
  })
}

/** Where a path really leads; one that does not exist yet leads where it says. */
async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return resolve(path)
  }
}
