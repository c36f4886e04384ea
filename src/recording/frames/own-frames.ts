/** The heads of the two frames that are not entries: they are the journal's own notes to itself. */

/**
 * A journal file begins with the sessions that are open: each id, and how many commands it has sent so far. `missing`:
 * the first and the last of the frames before it that the log covers, and that were not there any more when it was begun.
 */
export type FileHead = {
  readonly open: readonly (readonly [session: string, commands: number])[]
  readonly missing?: FrameSpan
  /** What the log was when the process began that made the file: it must not become less. */
  readonly log?: LogMark
}

/** Entries of the log, and the root over them in base 64. */
export type LogMark = { readonly size: number; readonly root: string }

export type FrameSpan = readonly [first: number, last: number]

export function fileHeadOf(bytes: Buffer): FileHead {
  const head: unknown = JSON.parse(bytes.toString('utf8'))
  if (!isRecord(head) || !Array.isArray(head.open)) throw new Error('the first frame lists no open sessions')
  const open: [string, number][] = []
  const items: readonly unknown[] = head.open
  for (const item of items) {
    const pair: readonly unknown[] = Array.isArray(item) ? item : []
    const [session, commands] = pair
    if (typeof session !== 'string' || typeof commands !== 'number') {
      throw new Error('the first frame lists something that is no session')
    }
    open.push([session, commands])
  }
  return {
    open,
    ...(head.missing === undefined ? {} : { missing: spanOf(head.missing) }),
    ...(head.log === undefined ? {} : { log: markOf(head.log) }),
  }
}

function markOf(value: unknown): LogMark {
  if (!isRecord(value) || typeof value.size !== 'number' || typeof value.root !== 'string')
    throw new Error('the first frame names a log that is none')
  return { size: value.size, root: value.root }
}

function spanOf(value: unknown): FrameSpan {
  const span: readonly unknown[] = Array.isArray(value) ? value : []
  const [first, last] = span
  if (typeof first !== 'number' || typeof last !== 'number')
    throw new Error('the first frame names missing frames that are none')
  return [first, last]
}

/** Which session a number stands for in the rest of the file. */
export function bindOf(bytes: Buffer): string {
  const head: unknown = JSON.parse(bytes.toString('utf8'))
  if (!isRecord(head) || typeof head.session !== 'string') throw new Error('a frame names no session')
  return head.session
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
