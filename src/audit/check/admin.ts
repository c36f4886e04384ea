import { GatewayError } from '../../core/index.ts'
import type { VerifierKey } from '../../evidence/note/keys.ts'
import { treeHasher } from '../../evidence/tree/hasher.ts'
import { Claims } from './claims.ts'
import { readEntry } from './entry.ts'
import { Failures } from './failures.ts'
import { objectOf } from './objects.ts'
import { headOf } from './part.ts'
import { logSource } from './pieces.ts'
import type { AuditSource, Primitives } from './ports.ts'
import { TreeCheck } from './tree.ts'

/** An administrative entry as the log has it. */
export type AdminEntry = {
  /** Its number in the log, and the sequence number of its frame. */
  readonly entry: number
  readonly sequence: number
  /** Milliseconds since 1970. */
  readonly time: number
  readonly action: string
  readonly by: string
  readonly target?: string
  readonly details: Readonly<Record<string, unknown>>
}

export type AdminOptions = {
  readonly source: AuditSource
  readonly primitives: Primitives
  /** Keys that must have signed it; without any it is taken as it is. */
  readonly keys: readonly VerifierKey[]
}

/**
 * Every administrative entry of a log, oldest first, each held against the tree and the root of the newest checkpoint. Throws
 * `not_found` without a log, `invalid` where something is not what was signed, or by whom.
 */
export async function* adminEntries({ source, primitives, keys }: AdminOptions): AsyncGenerator<AdminEntry> {
  const failures = new Failures()
  const hasher = treeHasher(primitives.sha256)
  const log = logSource(source)
  const claims = await Claims.read({ source, log, primitives, hasher, failures }, undefined)
  if (claims === undefined) {
    throw new GatewayError('not_found', 'There is no log here.', {
      remedy: 'Name the data directory of a gateway, or a copy of one.',
    })
  }
  if (keys.length > 0 && !(await claims.isSignedByAny(keys)))
    failures.add({ code: 'signature', path: claims.head.path, why: 'no key that was given has signed it' })
  hold(failures)
  const { size, root } = claims.head.checkpoint
  for await (const { first, entries } of new TreeCheck({
    source: log,
    hasher,
    size,
    root,
    failures,
  }).bundles()) {
    hold(failures)
    for (const [at, bytes] of entries.entries()) {
      const found = bytes === undefined ? undefined : adminIn(bytes, first + at)
      if (found !== undefined) yield found
    }
  }
  hold(failures)
}

function adminIn(bytes: Uint8Array, index: number): AdminEntry | undefined {
  const entry = readEntry(bytes)
  if (entry.kind !== 'frame' || entry.session !== undefined || !('part' in entry.frame)) return undefined
  const { sequence, time } = entry.frame.head
  const { action, by, target, details } = objectOf(headOf(entry.frame.part))
  return {
    entry: index,
    sequence,
    time,
    action: textOf(action),
    by: textOf(by),
    ...(typeof target === 'string' ? { target } : {}),
    details: details === undefined ? {} : objectOf(details),
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function hold(failures: Failures): void {
  const [first] = failures.first
  if (first === undefined) return
  throw new GatewayError('invalid', `The log cannot be believed: ${first.path}: ${first.why}.`, {
    remedy: 'sluice audit verify says all that is wrong with it.',
  })
}
