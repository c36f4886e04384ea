import { HIDDEN_CHARACTERS } from '../core/index.ts'

export type ResultColumn = {
  /** Empty where the result does not name its columns: then they were described to the client before it. */
  readonly name: string
  readonly format: 'text' | 'binary' | 'unknown'
}

/** A value as text, bytes as `\x` and hexadecimal, NULL. */
export type ResultCell = string | null

/** A piece of a result. */
export type ResultPart =
  /** Rows follow. */
  | { readonly kind: 'columns'; readonly columns: readonly ResultColumn[] }
  | { readonly kind: 'row'; readonly cells: readonly ResultCell[] }
  /** What ended a statement: `SELECT 5`. */
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'error' | 'notice'; readonly code: string; readonly message: string }
  /** A body, or rows of COPY. */
  | { readonly kind: 'text'; readonly text: string }
  /** What is no text: hexadecimal. */
  | { readonly kind: 'bytes'; readonly hex: string; readonly length: number }
  /** The bytes end inside of something, or are not what they should be. */
  | { readonly kind: 'broken'; readonly length: number }

export function bytesPart(bytes: Buffer): ResultPart {
  return { kind: 'bytes', hex: bytes.toString('hex'), length: bytes.length }
}

/** A piece of what a client sent: a piece of text may begin and end inside of a character, and is shown as text all the same. */
export function inputPart(bytes: Buffer): ResultPart {
  const text = bytes.toString('utf8')
  const inside = text.slice(3, -3)
  const isText =
    !inside.includes('\uFFFD') && inside.replaceAll(/[\n\r\t]/g, '').search(HIDDEN_CHARACTERS) < 0
  return isText ? { kind: 'text', text: text.replace(/\n$/, '') } : bytesPart(bytes)
}

/** Bytes as text; undefined when they are not UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const text = buffer.toString('utf8')
  return Buffer.from(text, 'utf8').equals(buffer) ? text : undefined
}

/** The same, where it is not known whether they are text at all: no control characters but line breaks and tabs. */
export function likelyTextOf(bytes: Uint8Array): string | undefined {
  const text = textOf(bytes)
  return text !== undefined && text.replaceAll(/[\n\r\t]/g, '').search(HIDDEN_CHARACTERS) < 0
    ? text
    : undefined
}

export function hexOf(bytes: Uint8Array): string {
  return `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`
}
