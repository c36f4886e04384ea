/** What a tap saw go to a PostgreSQL server, in whole messages of the protocol. */
import type { Tap } from '../abuse/tap.ts'

export type UpstreamMessage = { readonly type: string; readonly text: string }

/** Behind the command with this text, of the newest connection on which that was sent. */
export function messagesAfter(tap: Tap, mark: string): UpstreamMessage[] {
  const sent = tap.conversations
    .map(({ fromClient }) => Buffer.concat(fromClient))
    .findLast((all) => all.includes(mark))
  if (sent === undefined) throw new Error(`nothing with ${mark} has reached the server`)
  const found: UpstreamMessage[] = []
  // The first message has no type.
  for (let at = sent.readInt32BE(0); at + 5 <= sent.length; ) {
    const end = at + 1 + sent.readInt32BE(at + 1)
    if (end > sent.length) break
    found.push({ type: String.fromCharCode(sent[at] ?? 0), text: sent.toString('latin1', at + 5, end) })
    at = end
  }
  const at = found.findIndex(({ text }) => text.includes(mark))
  // One that was parsed has come to its end with its Sync.
  const end = found[at]?.type === 'Q' ? at : found.findIndex(({ type }, i) => i > at && type === 'S')
  return end < 0 ? [] : found.slice(end + 1)
}
