import { LIMITS } from '../../core/index.ts'

/** Frames of a session, both ends included. */
export type FrameRange = { readonly first: number; readonly last: number }

/** What an administrative entry says of payloads that were removed from a session. */
export type Removal = {
  readonly session: string
  /** Milliseconds since 1970. */
  readonly time: number
  readonly by: string
  readonly payload: string
  readonly frames: readonly FrameRange[]
  /** `request` or `age`, and what goes with it. */
  readonly because?: string
  readonly reason?: string
  readonly rule?: string
}

/** Ranges in any order, asked for many numbers: a session may have a hundred thousand of both. */
export class Ranges {
  #ranges: FrameRange[] = []
  #isSorted = true

  add(range: FrameRange): void {
    this.#ranges.push(range)
    this.#isSorted = false
  }

  has(sequence: number): boolean {
    if (!this.#isSorted) this.#sort()
    let [low, high] = [0, this.#ranges.length]
    // The last range that begins no later.
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#ranges[middle]?.first ?? 0) <= sequence) low = middle + 1
      else high = middle
    }
    return (this.#ranges[low - 1]?.last ?? -1) >= sequence
  }

  /** By their first frame, each going as far as any before it, so that the one before a number is the one to look at. */
  #sort(): void {
    let furthest = -1
    this.#ranges = this.#ranges
      .toSorted((a, b) => a.first - b.first)
      .map(({ first, last }) => ({ first, last: (furthest = Math.max(furthest, last)) }))
    this.#isSorted = true
  }
}

const RANGE = /^(\d{1,16})(?:-(\d{1,16}))?$/

/**
 * Reads the details of an entry `recording.removed`: `payload` and either `sequence`, a number, or `frames`, such as
 * `3,9-12`. Undefined where it names nothing: then it permits nothing to be missing.
 */
export function removalOf(
  session: string,
  by: unknown,
  time: number,
  details: Readonly<Record<string, unknown>>,
): Removal | undefined {
  const { sequence, payload, frames } = details
  if (typeof payload !== 'string') return undefined
  const ranges =
    typeof sequence === 'number'
      ? [{ first: sequence, last: sequence }]
      : typeof frames === 'string' && frames.length <= LIMITS.logEntryBytesMax
        ? rangesIn(frames)
        : undefined
  if (ranges === undefined) return undefined
  return {
    session,
    time,
    by: typeof by === 'string' ? by : '',
    payload,
    frames: ranges,
    ...textIn(details, 'because'),
    ...textIn(details, 'reason'),
    ...textIn(details, 'rule'),
  }
}

function rangesIn(text: string): readonly FrameRange[] | undefined {
  const ranges: FrameRange[] = []
  for (const each of text.split(',')) {
    const [, first, last = first] = RANGE.exec(each) ?? []
    if (first === undefined) return undefined
    ranges.push({ first: Number(first), last: Number(last) })
  }
  return ranges
}

function textIn<Name extends string>(
  details: Readonly<Record<string, unknown>>,
  name: Name,
): { readonly [K in Name]?: string } {
  const value = details[name]
  const found: { [K in Name]?: string } = {}
  if (typeof value === 'string') found[name] = value
  return found
}
