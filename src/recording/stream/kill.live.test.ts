import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { randomFrom, seed, tally, times } from '../../../test/support/proof.ts'
import { httpReceiver, syslogReceiver, TakenEvents } from '../../testing/event-receiver.ts'

const script = join(import.meta.dirname, '..', '..', 'testing', 'stream-writer.ts')
const kills = times({ small: 8, full: 50 })
const random = randomFrom(seed)

/** Runs the writer; kills it `ms` after its first command, or lets it end. Gives the ids of commands that were flushed. */
async function written(
  directory: string,
  ports: readonly number[],
  count: number,
  ms?: number,
): Promise<string[]> {
  const child = spawn(process.execPath, [script, directory, String(count), ...ports.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  const started = Promise.withResolvers<void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    started.resolve()
  })
  const ended = new Promise((resolve) => child.on('close', resolve))
  if (ms !== undefined) {
    await Promise.race([started.promise, ended])
    await pause(ms)
    child.kill('SIGKILL')
    tally('kills', 1)
  }
  await ended
  return output.split('\n').slice(0, -1)
}

test(`killed ${kills} times while it streams, to receivers that come and go: every event arrives, and one that comes twice is the same (P-07)`, {
  timeout: 60_000 + kills * 10_000,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-stream-kill-'))
  const byHttp = new TakenEvents()
  const bySyslog = new TakenEvents()
  let isOpen = true
  // Asked before a batch is taken and again before it is answered: now and then only the answer gets lost.
  const http = await httpReceiver(byHttp, () => isOpen && random() > 0.1)
  const syslog = await syslogReceiver(bySyslog, () => isOpen)
  const ports = [http.port, syslog.port]
  const over = new AbortController()
  const comingAndGoing = (async () => {
    while (!over.signal.aborted) {
      await pause(random() * 1_500)
      isOpen = !isOpen
    }
    isOpen = true
  })()
  try {
    const flushed: string[] = []
    for (let kill = 0; kill < kills; kill++)
      flushed.push(...(await written(directory, ports, 1_000_000, 500 + random() * 4_000)))
    over.abort()
    await comingAndGoing
    const rest = await written(directory, ports, 100)
    expect(rest.at(-1)).toBe('done')
    flushed.push(...rest.slice(0, -1))
    expect(flushed.length).toBeGreaterThan(kills * 10)
    for (const taken of [byHttp, bySyslog]) {
      expect(flushed.filter((id) => !taken.byId.has(id))).toEqual([])
      expect(taken.differing).toEqual([])
    }
    expect(byHttp.count).toBeGreaterThan(byHttp.byId.size)
    tally('events that were flushed', flushed.length)
    tally('events by HTTP', byHttp.count)
    tally('events by syslog', bySyslog.count)
  } finally {
    over.abort()
    await comingAndGoing
    await http.close()
    await syslog.close()
    rmSync(directory, { recursive: true, force: true })
  }
})
