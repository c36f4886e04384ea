/**
 * A process of its own that writes numbered intents and says which of them are flushed: for tests that kill it or
 * limit it. Arguments: data directory, how many, and how: `flush`, `sync`, or `cut`, which flushes, ends its sessions
 * all the time, and cuts what has ended.
 */
import { writeSync } from 'node:fs'
import { isGatewayError, systemClock } from '../core/index.ts'
import { Cutter, openJournal } from '../recording/index.ts'
import { closeEntry, intentEntry, openEntry, outcomeEntry, sessionId } from './entries.ts'
import { random, testKeys } from './recording-keys.ts'

const [directory = '', count = '1000', how = 'flush'] = process.argv.slice(2)

function say(line: string): void {
  writeSync(1, `${line}\n`)
}

const journal = openJournal({
  directory,
  keys: testKeys,
  random,
  clock: systemClock,
  fileBytesMax: how === 'cut' ? 32 * 1024 : 256 * 1024,
  onFault: (error) => say(`fault ${String(error)}`),
})
const cutter = new Cutter({
  directory,
  keys: testKeys,
  journal,
  clock: systemClock,
  onFault: (error) => say(`fault ${String(error)}`),
})
if (how === 'cut') await cutter.start()

const sessions = [sessionId(Date.now()), sessionId(Date.now())]
for (const session of sessions) journal.append(session, openEntry())
for (let n = 1; n <= Number(count); n++) {
  const which = n % 2
  if (how === 'cut' && n % 10 === 0) {
    journal.append(sessions[which], closeEntry(0))
    const next = sessionId(Date.now())
    journal.append(next, openEntry())
    sessions[which] = next
    await cutter.catchUp()
  }
  const session = sessions[which]
  journal.append(session, intentEntry(n, { text: `SELECT ${'x'.repeat(n % 500)}` }))
  journal.append(session, outcomeEntry(n, {}, Buffer.alloc(n % 2000)))
  try {
    if (how === 'sync') journal.sync()
    else journal.flush()
  } catch (error) {
    if (!isGatewayError(error)) throw error
    const { cause } = error
    say(`refused ${error.code} ${cause instanceof Error && 'code' in cause ? String(cause.code) : ''}`)
    break
  }
  say(`${n}`)
}
