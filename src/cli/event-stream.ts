import { z } from 'zod'
import { GatewayError } from '../core/index.ts'

/** One event; the gateway's longest entry is a statement, its parameters and their text. */
const EVENT_CHARACTERS_MAX = 512 * 1024 * 1024

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, as the gateway writes it. */
export async function* eventsIn(
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<{ readonly event: string; readonly data: Record<string, unknown> }> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true })
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    if (text.length > EVENT_CHARACTERS_MAX)
      throw new GatewayError('limit_exceeded', 'The gateway sent an event that is too long.')
    for (const block of blocks) {
      const event = /^event: (.*)$/m.exec(block)?.[1]
      const data = /^data: (.*)$/m.exec(block)?.[1]
      if (event !== undefined && data !== undefined)
        yield { event, data: z.record(z.string(), z.unknown()).parse(JSON.parse(data)) }
    }
  }
}
