/**
 * A process of its own that writes commands of sessions that begin and end, with the whole recording behind it and two
 * outlets, and says which commands are flushed: for tests that kill it. Arguments: data directory, how many commands,
 * port for HTTP, port for syslog. Ends when all is written and delivered.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { type SessionId, systemClock } from '../core/index.ts'
import { openRecording } from '../recording/index.ts'
import { KEEP_ALL } from '../recording/retention.ts'
import { NO_LOG_SETTINGS } from '../recording/sealer/settings.ts'
import type { OutletSettings } from '../recording/stream/settings.ts'
import { closeEntry, intentEntry, openEntry, outcomeEntry, sessionId } from './entries.ts'
import { MemorySessionIndex } from './memory-session-index.ts'
import { random, testKeys, testSeeds } from './recording-keys.ts'

const [directory = '', count = '1000', http = '1', syslog = '1'] = process.argv.slice(2)

const common = { statements: true, backlog: { bytesMax: 1024 ** 3, msMax: 1e9 } }
const outlets: readonly OutletSettings[] = [
  {
    name: 'http',
    ...common,
    to: {
      kind: 'http',
      url: `http://127.0.0.1:${http}/`,
      gzip: true,
      header: undefined,
      format: 'array',
    },
  },
  {
    name: 'syslog',
    ...common,
    to: {
      kind: 'syslog',
      transport: 'tcp',
      host: '127.0.0.1',
      port: Number(syslog),
      facility: 13,
      enterprise: 32_473,
      confirm: 'close',
      datagramBytesMax: 2_048,
    },
  },
]

const recording = await openRecording({
  directory,
  keys: testKeys,
  seeds: testSeeds,
  settings: {
    ...NO_LOG_SETTINGS,
    retention: KEEP_ALL,
    stream: outlets.map((settings) => ({ settings, secrets: {} })),
    store: undefined,
  },
  program: '9.9.9',
  clock: systemClock,
  random,
  index: new MemorySessionIndex(),
  onFault: () => undefined,
})
const { journal } = recording
let session: SessionId | undefined
for (let n = 1; n <= Number(count); n++) {
  if (session === undefined) {
    session = sessionId(Date.now())
    journal.append(session, openEntry())
  }
  journal.append(session, intentEntry(n, { text: `SELECT ${'x'.repeat(n % 300)}` }))
  if (n % 7 !== 0) journal.append(session, outcomeEntry(n))
  const last = n % 50 === 0
  if (last) journal.append(session, closeEntry(50))
  journal.flush()
  process.stdout.write(`${session}-${n}\n`)
  if (last) session = undefined
  if (n % 10 === 0) await pause(5)
}
const isDone = (): boolean => recording.outlets().every(({ lagFrames }) => lagFrames === 0)
while (!isDone()) await pause(50)
await recording.stop()
process.stdout.write('done\n')
process.exit(0)
