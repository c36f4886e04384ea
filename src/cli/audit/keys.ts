import { readFileSync, statSync } from 'node:fs'
import type { AuditKeys } from '../../composition/audit-keys.ts'
import { GatewayError } from '../../core/index.ts'
import { nodeSha256, parseVerifierKey } from '../../evidence/index.ts'
import { UsageError } from '../context.ts'

/** Some keys, one a line. */
const KEYS_BYTES_MAX = 64 * 1024

type VerifierKey = ReturnType<typeof parseVerifierKey>

/** Adds a value to those of an option that may be given more than once. */
export function collected(value: string, before: readonly string[]): string[] {
  return [...before, value]
}

/** Public keys of a log, as they were given. Throws `UsageError` without any. */
export function logKeys(flags: {
  readonly key: readonly string[]
  readonly keyFile?: string
}): readonly VerifierKey[] {
  const inFile = flags.keyFile === undefined ? [] : linesOf(flags.keyFile)
  const keys = [...flags.key, ...inFile].map((text) => parseVerifierKey(nodeSha256, text))
  if (keys.length === 0)
    throw new UsageError(
      'Give the public key of the log with --key or --key-file: without it nothing can be proved. `sluice audit key` prints it on the machine of the gateway.',
    )
  if (keys.some(({ type }) => type !== 'note'))
    throw new UsageError('--key takes the key of a log; that of a witness goes with --witness.')
  return keys
}

export function witnessKeys(texts: readonly string[]): readonly VerifierKey[] {
  const keys = texts.map((text) => parseVerifierKey(nodeSha256, text))
  if (keys.some(({ type }) => type !== 'cosignature'))
    throw new UsageError('--witness takes the key of a witness, as `sluice witness key` printed it.')
  return keys
}

/** What the master key opens, where one is at hand: `--master-key`, or else SLUICE_KEY. */
export async function masterKeys(
  keyFile: string | undefined,
  dataDirectory: string,
): Promise<AuditKeys | undefined> {
  if (keyFile === undefined && process.env.SLUICE_KEY === undefined) return undefined
  const { loadAuditKeys } = await import('../../composition/audit-keys.ts')
  const warn = (message: string): void => void process.stderr.write(`warning: ${message}\n`)
  return loadAuditKeys({ keyFile, environment: process.env, dataDirectory, warn })
}

/** A file that the user named, whole. Throws `invalid`. */
export function readGiven(path: string, bytesMax: number): Buffer {
  try {
    if (statSync(path).size <= bytesMax) return readFileSync(path)
  } catch (cause) {
    throw new GatewayError('invalid', `${path} cannot be read.`, { cause })
  }
  throw new GatewayError('limit_exceeded', `${path} has more than ${bytesMax} bytes.`)
}

function linesOf(path: string): string[] {
  const lines = readGiven(path, KEYS_BYTES_MAX).toString('utf8').split('\n')
  return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
}
