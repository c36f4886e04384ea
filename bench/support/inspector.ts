/** Asks a Node process that was started with `--inspect` to collect its garbage, so that memory can be compared. */
import { z } from 'zod'

/** Takes the address from what the process wrote to standard error. */
export function inspectorUrl(complaints: string): string {
  const url = /Debugger listening on (ws:\/\/\S+)/.exec(complaints)?.[1]
  if (url === undefined) throw new Error('the process does not say where its inspector listens')
  return url
}

const answer = z.object({ id: z.number() })

export async function collectGarbage(url: string): Promise<void> {
  const socket = new WebSocket(url)
  try {
    await new Promise((fulfil, reject) => {
      socket.addEventListener('open', fulfil, { once: true })
      socket.addEventListener('error', () => reject(new Error('cannot reach the inspector')), { once: true })
    })
    // Twice: what the first round finalises, the second one frees.
    for (const id of [1, 2]) {
      const done = new Promise<void>((fulfil) => {
        socket.addEventListener('message', ({ data }) => {
          if (answer.safeParse(JSON.parse(String(data))).data?.id === id) fulfil()
        })
      })
      socket.send(JSON.stringify({ id, method: 'HeapProfiler.collectGarbage' }))
      await done
    }
  } finally {
    socket.close()
  }
}
