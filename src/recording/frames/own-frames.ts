/** The heads of the two frames that are not entries: they are the journal's own notes to itself. */

/** A journal file begins with the sessions that are open: each id, and how many commands it has sent so far. */
export type FileHead = { readonly open: readonly (readonly [session: string, commands: number])[] }

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
  return { open }
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
