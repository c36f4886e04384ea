import type { KeyObject } from 'node:crypto'
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { GatewayError } from '../../../core/index.ts'

const names = z.array(z.string())

const summary = z.strictObject({
  kind: z.literal('sluice policy prove'),
  version: z.literal(1),
  program: z.string(),
  at: z.string(),
  connection: z.string(),
  database: z.string(),
  scratchDatabase: z.string(),
  identity: z.string(),
  policyVersion: z.string(),
  /** SHA-256 of the definitions that were copied, in hex. */
  schema: z.string(),
  relations: z.number(),
  /** Labelled columns of tables that hold a marker in the copy. */
  marked: names,
  /** Those that this identity may see in clear: not probed. */
  seen: names,
  /** Those whose type has no room for a marker, or whose mask shows too much of one: not probed by themselves. */
  unmarked: names,
  /** What of the schema could not be made again. */
  notCopied: names,
  counts: z.strictObject({
    /** Sent to the server itself and through the gateway. */
    run: z.number(),
    /** Of them: the server itself showed a marker. The others prove nothing. */
    telling: z.number(),
    refused: z.number(),
    /** Held for approval: not sent. */
    held: z.number(),
    masked: z.number(),
    leaked: z.number(),
    /** Answered with an error of the server that it did not give directly: nothing is known of these. */
    failed: z.number(),
  }),
  leaks: names,
})

export type Summary = z.output<typeof summary>

const signed = z.strictObject({
  summary,
  /** Ed25519, SPKI, DER in base64. */
  publicKey: z.string(),
  /** Over the UTF-8 bytes of the summary as JSON without white space, in base64. */
  signature: z.string(),
})

export type Signed = z.output<typeof signed>

const KEY_FILE = join('proofs', 'prove-key.pem')

/** Signs with the key of this data directory, which is made when there is none yet. */
export function signSummary(dataDirectory: string, told: Summary): Signed {
  const key = keyOf(dataDirectory)
  return {
    summary: told,
    publicKey: publicText(createPublicKey(key)),
    signature: sign(undefined, Buffer.from(JSON.stringify(told)), key).toString('base64'),
  }
}

/** Reads a signed summary and holds its signature against it. Throws GatewayError `invalid`. */
export function verifySummary(text: string): Signed {
  const raw = jsonOf(text)
  const read = signed.safeParse(raw)
  if (!read.success) throw invalid('This is no summary of sluice policy prove.')
  const { publicKey, signature } = read.data
  // As it stands in the file: reading it may put its fields into another order.
  const told: unknown = typeof raw === 'object' && raw !== null && 'summary' in raw ? raw.summary : undefined
  let holds = false
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' })
    holds = verify(undefined, Buffer.from(JSON.stringify(told)), key, Buffer.from(signature, 'base64'))
  } catch {
    // No key at all: it does not hold.
  }
  if (!holds) throw invalid('The signature does not fit: the summary was changed after it was signed.')
  return read.data
}

/** Whether it was signed by the key of this data directory; undefined when there is none. */
export function isOwnKey(dataDirectory: string, { publicKey }: Signed): boolean | undefined {
  const file = join(dataDirectory, KEY_FILE)
  if (!existsSync(file)) return undefined
  return publicText(createPublicKey(readFileSync(file))) === publicKey
}

function keyOf(dataDirectory: string): KeyObject {
  const file = join(dataDirectory, KEY_FILE)
  if (existsSync(file)) return createPrivateKey(readFileSync(file))
  const { privateKey } = generateKeyPairSync('ed25519')
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' })
  return privateKey
}

function publicText(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'der' }).toString('base64')
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // No JSON: what it is instead does not matter.
    return undefined
  }
}

function invalid(message: string): GatewayError {
  return new GatewayError('invalid', message, { retry: 'only-if-changed' })
}
