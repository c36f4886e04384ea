import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { type RecordingKeys, type SessionId, systemClock } from '../../core/index.ts'
import { errorOf, type Fault, faultOf } from '../sealer/faults.ts'
import { CursorFile } from './cursor.ts'
import { EventFollower } from './follower.ts'
import { httpSender } from './http.ts'
import { type Missed, Outlet, type OutletState } from './outlet.ts'
import type { OutletSecrets, OutletSettings } from './settings.ts'
import { syslogSender } from './syslog.ts'

/** The thread that streams, so that nothing of it stands in the way of a command. */
export type StreamWorkerData = {
  readonly directory: string
  readonly keys: RecordingKeys
  readonly program: string
  readonly outlets: readonly OutletSettings[]
}

export type FromStream =
  | { readonly kind: 'state'; readonly state: OutletState }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'secrets'; readonly id: number; readonly outlet: string }
  | { readonly kind: 'record'; readonly id: number; readonly missed: Missed }
  | { readonly kind: 'fetch'; readonly id: number; readonly session: SessionId }
  | { readonly kind: 'stopped' }

export type ToStream =
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
  | { readonly kind: 'stop' }

type Answer = { readonly secrets: OutletSecrets } | { readonly fault: Fault }

/** As the sealer's. */
const BACKGROUND_NICENESS = 5

const port = parentPort
if (port === null) throw new Error('the stream is not a program of its own')
const say = (message: FromStream): void => port.postMessage(message)

stepBack()

const { directory, keys, program, outlets: all }: StreamWorkerData = workerData
const waiting = new Map<number, PromiseWithResolvers<OutletSecrets>>()
let nextId = 1

const outlets = all.map(
  (settings) =>
    new Outlet(settings, {
      clock: systemClock,
      random: Math.random,
      cursor: new CursorFile(directory, settings.name),
      follow: (cursor) =>
        new EventFollower({ directory, keys, program, statements: settings.statements, cursor, fetch }),
      sender: settings.to.kind === 'syslog' ? syslogSender(settings.to) : httpSender(settings.to, program),
      secrets: () => ask((id) => say({ kind: 'secrets', id, outlet: settings.name })),
      async record(missed) {
        await ask((id) => say({ kind: 'record', id, missed }))
      },
      onState: (state) => say({ kind: 'state', state }),
      onFault: (error) => say({ kind: 'fault', fault: ofOutlet(settings.name, faultOf(error)) }),
    }),
)

port.on('message', (message: ToStream) => {
  if (message.kind === 'stop') {
    void Promise.all(outlets.map((each) => each.stop())).then(() => say({ kind: 'stopped' }))
    return
  }
  const { id, answer } = message
  const asked = waiting.get(id)
  waiting.delete(id)
  if ('fault' in answer) asked?.reject(errorOf(answer.fault))
  else asked?.resolve(answer.secrets)
})
for (const each of outlets) each.start()

function ask(send: (id: number) => void): Promise<OutletSecrets> {
  const id = nextId++
  const asked = Promise.withResolvers<OutletSecrets>()
  waiting.set(id, asked)
  send(id)
  return asked.promise
}

async function fetch(session: SessionId): Promise<void> {
  await ask((id) => say({ kind: 'fetch', id, session }))
}

function ofOutlet(name: string, fault: Fault): Fault {
  return { ...fault, message: `Outlet ${name}: ${fault.message}` }
}

/** As the thread that parses does: on Linux a thread has a priority of its own (setpriority(2), notes). */
function stepBack(): void {
  if (process.platform !== 'linux') return
  const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1))
  setPriority(thread, BACKGROUND_NICENESS)
}
