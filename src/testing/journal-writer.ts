/**
 * A process of its own that writes numbered intents and says which of them are flushed: for tests that kill it or
 * limit it. Arguments: data directory, how many, and how: `flush`, `sync`, or `seal`, which flushes, ends its sessions
 * all the time, and has a sealer behind it that is never left in peace.
 */
import { writeSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { isGatewayError, systemClock } from '../core/index.ts'
import { openJournal } from '../recording/index.ts'
import { SealerThread } from '../recording/sealer/sealer-thread.ts'
import { NO_LOG_SETTINGS } from '../recording/sealer/settings.ts'
import { closeEntry, intentEntry, openEntry, outcomeEntry, sessionId } from './entries.ts'
import { random, testKeys, testSeeds } from './recording-keys.ts'

const [directory = '', count = '1000', how = 'flush'] = process.argv.slice(2)

function say(line: string): void {
  writeSync(1, `${line}\n`)
}

const journal = openJournal({
  directory,
  keys: testKeys,
  random,
  clock: systemClock,
  fileBytesMax: how === 'seal' ? 32 * 1024 : 256 * 1024,
  onFault: (error) => say(`fault ${String(error)}`),
})
const sealer = new SealerThread({
  directory,
  keys: testKeys,
  seeds: testSeeds,
  settings: NO_LOG_SETTINGS,
  clock: systemClock,
  onFault: (error) => say(`fault ${String(error)}`),
})
sealer.indexed(Number.MAX_SAFE_INTEGER)
if (how === 'seal') sealer.start()

const sessions = [sessionId(Date.now()), sessionId(Date.now())]
for (const session of sessions) journal.append(session, openEntry())
for (let n = 1; n <= Number(count); n++) {
  const which = n % 2
  if (how === 'seal' && n % 10 === 0) {
    journal.append(sessions[which], closeEntry(0))
    const next = sessionId(Date.now())
    journal.append(next, openEntry())
    sessions[which] = next
    // Sealed is what has its MAC; left to itself, the journal makes one a second.
    journal.authenticate()
    sealer.wake()
    // Now and then it is waited for; else the writer goes on while it is at work.
    if (n % 100 === 0) await sealer.settle()
    else await pause(1)
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
