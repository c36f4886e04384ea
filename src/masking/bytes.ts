/** Reading and writing bytes of cells in place. Nothing here allocates. */

/** Shorter runs are copied by hand: what is shown of a cell is short, and a call of the engine's own copy costs more. */
const COPIED_BY_HAND_BYTES = 256

export function copy(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  if (to - from > COPIED_BY_HAND_BYTES) {
    target.set(source.subarray(from, to), at)
    return at + to - from
  }
  let end = at
  for (let i = from; i < to; i++) target[end++] = source[i] ?? 0
  return end
}

export function put(bytes: Uint8Array, target: Uint8Array, at: number): number {
  return copy(bytes, 0, bytes.length, target, at)
}

/** The offset `count` characters after `from`, or -1 when there are fewer before `to`. The bytes are UTF-8. */
export function advance(value: Uint8Array, from: number, to: number, count: number): number {
  if (from < 0) return -1
  let at = from
  for (let i = 0; i < count; i++) {
    if (at >= to) return -1
    at++
    while (at < to && isContinuation(value[at])) at++
  }
  return at
}

/** The offset `count` characters before `to`, or -1 when there are fewer behind `from`. */
export function retreat(value: Uint8Array, from: number, to: number, count: number): number {
  if (to < 0) return -1
  let at = to
  for (let i = 0; i < count; i++) {
    if (at <= from) return -1
    at--
    while (at > from && isContinuation(value[at])) at--
  }
  return at
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}
