/** What an attack is: a technique tried in one way over one transport. Attacks are data; attack-runner.ts runs them. */
import type { Transport } from '../../prove/transports.ts'

export type Attack = {
  readonly id: string
  readonly technique: string
  readonly transport: Exclude<Transport, 'described' | 'portal' | 'explain' | 'batch'>
  /** In order, on one connection; the transport is that of the last one. */
  readonly sql: readonly string[]
  /** The published attack this one tries: a row of a list, or a documented bypass of another product. */
  readonly of?: string
  /** Learns by which rows come: who may filter by a label may do so. */
  readonly predicate?: true
}

const TRANSPORTS = {
  s: 'simple',
  e: 'extended',
  b: 'binary',
  c: 'cursor',
  y: 'copy',
  p: 'prepared',
  l: 'pipelined',
} as const satisfies Record<string, Attack['transport']>

type Letter = keyof typeof TRANSPORTS

/** One attack: the letter of its transport, and its statements. */
export type Line = readonly [Letter, ...string[]]

export function technique(
  name: string,
  lines: readonly Line[],
  more: { readonly of?: string; readonly predicate?: true } = {},
): Attack[] {
  return lines.map(([letter, ...sql], i) => ({
    id: `${name}-${i + 1}`,
    technique: name,
    transport: TRANSPORTS[letter],
    sql,
    ...more,
  }))
}
