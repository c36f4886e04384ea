/** Bytes that a client got, as messages, and whether a recording has all of them that it promises. */

export type Message = { readonly type: string; readonly bytes: Buffer }

/**
 * Rows, COPY, tags, errors and notices. Not among them: how a statement was prepared and described (`1`, `2`, `3`, `t`,
 * `T`, `n`), and how the connection is (`R`, `S`, `K`, `Z`).
 */
const COMPARED = 'DdHcGCIsEN'

/** Cut by their lengths, deliberately apart from src/wire. Throws when the last one is not whole. */
export function messagesIn(bytes: Buffer): Message[] {
  const messages: Message[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + bytes.readUInt32BE(at + 1)
    if (end > bytes.length) throw new Error(`a message ends ${end - bytes.length} bytes behind the last one`)
    messages.push({ type: String.fromCharCode(bytes.readUInt8(at)), bytes: bytes.subarray(at, end) })
    at = end
  }
  return messages
}

export function compared(messages: readonly Message[]): Message[] {
  return messages.filter(({ type }) => COMPARED.includes(type))
}

/** Where the two part; undefined when they are the same, byte for byte. */
export function difference(received: readonly Message[], recorded: readonly Message[]): string | undefined {
  const told = (message: Message | undefined): string =>
    message === undefined ? 'nothing' : `${message.type} ${message.bytes.toString('latin1').slice(0, 300)}`
  const length = Math.max(received.length, recorded.length)
  for (let i = 0; i < length; i++) {
    const [left, right] = [received[i], recorded[i]]
    if (left === undefined || right === undefined || !left.bytes.equals(right.bytes))
      return `message ${i} of ${received.length}: received ${JSON.stringify(told(left))}, recorded ${JSON.stringify(told(right))}`
  }
  return undefined
}

/** Whether everything recorded was received, in this order. */
export function isPartOf(recorded: readonly Message[], received: readonly Message[]): boolean {
  let at = 0
  for (const { bytes } of received) if (recorded[at]?.bytes.equals(bytes) === true) at++
  return at === recorded.length
}
