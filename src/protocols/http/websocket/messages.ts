/** One message of a WebSocket, put together from its frames. */
export type Message = { readonly data: Buffer; readonly isBinary: boolean }

/** How one side ended. RFC 6455 section 7.4; 1005: it gave no code, 1006: its line broke. */
export type Closing = { readonly code: number; readonly reason: string }

/** A message as it is recorded: a line of JSON, so that it is told where each ends and of which kind it is. */
export function recordedMessage({ data, isBinary }: Message): Buffer {
  return lineOf(isBinary ? { binary: data.toString('base64') } : { text: data.toString('utf8') })
}

export function recordedClosing({ code, reason }: Closing): Buffer {
  return lineOf(reason === '' ? { close: code } : { close: code, reason })
}

function lineOf(value: Readonly<Record<string, string | number>>): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`)
}
