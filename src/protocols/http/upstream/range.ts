/** A part of a body, as the client asked for it. RFC 9110 section 14.1.2. */
export type Range = {
  /** The first byte; undefined: `last` says how many bytes of the end. */
  readonly first: number | undefined
  /** The last byte, itself part of it; undefined: to the end. */
  readonly last: number | undefined
  /** The `If-Range` that came with it, or nothing. */
  readonly condition: string | undefined
}

const RANGE = /^bytes=(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))$/
const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/

/** One range in bytes; undefined: it is another, or several, which everybody may answer with the whole (section 14.2). */
export function readRange(text: string | undefined, condition: string | undefined): Range | undefined {
  const [all, first, last, suffix] = RANGE.exec(text ?? '') ?? []
  if (all === undefined) return undefined
  const asked = {
    first: first === undefined ? undefined : Number(first),
    last: suffix !== undefined ? Number(suffix) : last === undefined ? undefined : Number(last),
    condition,
  }
  const isReversed = asked.first !== undefined && asked.last !== undefined && asked.last < asked.first
  return isReversed ? undefined : asked
}

/** Fields that ask for it, with so many bytes around it. Names and values in turn. */
export function rangeFields({ first, last, condition }: Range, around: number): string[] {
  const from = first === undefined ? '' : String(Math.max(0, first - around))
  const to = last === undefined ? '' : String(last + around)
  return ['range', `bytes=${from}-${to}`, ...(condition === undefined ? [] : ['if-range', condition])]
}

/** Where a range lies in what came of it: so many bytes are left out, then so many are its own. */
export type Cut = { readonly skip: number; readonly take: number; readonly contentRange: string }

/**
 * Finds a range in the answer to its `rangeFields`. Undefined: the answer does not say where its bytes belong. `take` 0: there is
 * nothing at that place.
 */
export function cutOf(range: Range, contentRange: string): Cut | undefined {
  const [all, start = '', end = '', size = ''] = CONTENT_RANGE.exec(contentRange) ?? []
  if (all === undefined || Number(end) < Number(start)) return undefined
  if (size === '*' && range.first === undefined) return undefined
  const length = size === '*' ? Number(end) + 1 : Number(size)
  const first = Math.max(Number(start), range.first ?? length - (range.last ?? 0))
  const lastAsked = range.first === undefined ? undefined : range.last
  const last = Math.min(Number(end), lastAsked ?? length - 1)
  if (last < first) return { skip: 0, take: 0, contentRange: `bytes */${size}` }
  return {
    skip: first - Number(start),
    take: last - first + 1,
    contentRange: `bytes ${first}-${last}/${size}`,
  }
}
