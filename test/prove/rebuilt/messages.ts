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

/** What a client sent behind the message that starts a connection, which has no type. */
export function sentIn(bytes: Buffer): Message[] {
  return messagesIn(bytes.subarray(bytes.readUInt32BE(0)))
}

export type Bound = {
  /** As they were sent, in base 64; null is NULL. */
  readonly values: readonly (string | null)[]
  /** 0: text, 1: binary. */
  readonly formats: readonly number[]
}

/** The parameters of each Bind. https://www.postgresql.org/docs/current/protocol-message-formats.html */
export function boundIn(sent: readonly Message[]): Bound[] {
  return sent.filter(({ type }) => type === 'B').map(({ bytes }) => boundOf(bytes))
}

function boundOf(bytes: Buffer): Bound {
  let at = bytes.indexOf(0, bytes.indexOf(0, 5) + 1) + 1
  const formats = Array.from({ length: bytes.readUInt16BE(at) }, (_, i) => bytes.readUInt16BE(at + 2 + 2 * i))
  at += 2 + 2 * formats.length
  const values: (string | null)[] = []
  const count = bytes.readUInt16BE(at)
  at += 2
  for (let left = count; left > 0; left--) {
    const length = bytes.readInt32BE(at)
    at += 4
    values.push(length < 0 ? null : bytes.toString('base64', at, at + length))
    at += Math.max(0, length)
  }
  return { values, formats }
}

/** Those of the one that are not in the other, which has the rest of them in the same order. Undefined: it has others. */
export function leftOut(all: readonly string[], some: readonly string[]): readonly string[] | undefined {
  const left: string[] = []
  let at = 0
  for (const each of all)
    if (some[at] === each) at++
    else left.push(each)
  return at === some.length ? left : undefined
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
