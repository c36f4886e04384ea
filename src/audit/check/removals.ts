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
