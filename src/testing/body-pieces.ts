import type { BodyKind, BodyRules, MaskedPath } from '../masking/index.ts'
import { BodyPlan, maskBody } from '../masking/index.ts'

/** For tests: a body masked in pieces of `size` bytes, each in memory of its own that is overwritten afterwards. */
export function bodyInPieces(
  body: Uint8Array,
  kind: BodyKind,
  rules: BodyRules,
  size: number,
): { readonly bytes: Buffer; readonly masked: readonly MaskedPath[] } {
  const machine = maskBody(kind, new BodyPlan({ nested: true, ...rules }))
  if (machine === undefined) throw new Error(`no machine masks ${kind.kind} by place`)
  const out: Buffer[] = []
  for (let at = 0; at < body.length; at += size) {
    const piece = Buffer.from(body.subarray(at, at + size))
    out.push(Buffer.from(machine.write(piece)))
    piece.fill(0)
  }
  out.push(Buffer.from(machine.end()))
  return { bytes: Buffer.concat(out), masked: machine.masked }
}

/** Fourteen ways to write a marker, all of them in ASCII or at least in text that any format can hold. */
export function encodingsOf(marker: string): readonly string[] {
  const bytes = Buffer.from(marker)
  const hex = bytes.toString('hex')
  const each = (write: (code: number) => string): string => [...bytes].map(write).join('')
  return [
    marker,
    marker.toUpperCase(),
    [...marker].toReversed().join(''),
    hex,
    hex.toUpperCase(),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    Buffer.from(bytes.toString('base64')).toString('base64'),
    each((code) => `%${code.toString(16)}`),
    each((code) => `\\u${code.toString(16).padStart(4, '0')}`),
    each((code) => `&#${code};`),
    each((code) => `=${code.toString(16).toUpperCase()}`),
    [...marker].join('\u200b'),
    JSON.stringify({ inner: [marker] }),
  ]
}
