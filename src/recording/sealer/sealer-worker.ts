import { randomBytes, type KeyObject } from 'node:crypto'
import { readlinkSync, rmSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { type RecordingKeys, type SessionId, systemClock } from '../../core/index.ts'
import { DirectoryStorage } from '../../evidence/system/directory-storage.ts'
import { concerns, putInPlace, type Removal, type Thinned, thinned } from '../erasure/rewrite.ts'
import { logDirectory, sessionsDirectory } from '../files/names.ts'
import { CheckpointOutlet, postCheckpoint } from './checkpoint-outlet.ts'
import { type Fault, faultOf } from './faults.ts'
import { type Backlog, Sealer } from './sealer.ts'
import { SealerLoop, type SealerState } from './sealer-loop.ts'
import type { LogSettings } from './settings.ts'

/** The thread that seals, so that nothing of it stands in the way of a command. */
export type SealerWorkerData = {
  readonly directory: string
  readonly keys: RecordingKeys
  readonly seeds: readonly [KeyObject, ...KeyObject[]]
  readonly settings: LogSettings
  readonly node: string | undefined
  /** Entries that the log had when a thread before this one ended. */
  readonly size: number
  readonly backlog: Backlog | undefined
}

export type ToSealer =
  | { readonly kind: 'indexed'; readonly sequence: number }
  | { readonly kind: 'backlog'; readonly backlog: Backlog | undefined }
  | { readonly kind: 'wake' }
  | { readonly kind: 'adopt'; readonly settings: LogSettings }
  | { readonly kind: 'settle' | 'stop'; readonly id: number }
  | {
      readonly kind: 'concerns' | 'thin'
      readonly id: number
      readonly session: SessionId
      readonly removal: Removal
    }
  | { readonly kind: 'put'; readonly id: number; readonly session: SessionId; readonly thinned: Thinned }

export type FromSealer =
  | { readonly kind: 'state'; readonly state: SealerState }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'witnessed'; readonly cosigned: readonly string[]; readonly failed: readonly string[] }
  | { readonly kind: 'done'; readonly id: number; readonly fault: Fault | undefined; readonly found?: Found }

/** What came of looking into a session file. */
export type Found = { readonly concerns?: boolean; readonly thinned?: Thinned | undefined }

/**
 * Of -20 to 19; the default of a process is 0. Behind who serves commands, and not so far that it falls behind for good on a
 * machine that is never idle: against one busy thread this one gets a quarter of a processor, and needs half of that.
 */
const BACKGROUND_NICENESS = 5

const port = parentPort
if (port === null) throw new Error('the sealer is not a program of its own')
const random = (length: number): Uint8Array => randomBytes(length)
const say = (message: FromSealer): void => port.postMessage(message)

stepBack()

const { directory, keys, seeds, settings, node, size, backlog: began }: SealerWorkerData = workerData
let indexed = 0
let backlog: Backlog | undefined = began
const onFault = (error: unknown): void => say({ kind: 'fault', fault: faultOf(error) })
const outlet = new CheckpointOutlet(
  {
    clock: systemClock,
    // Loaded when the first witness is asked: most gateways have none when they start.
    witnessPost: (prefix) => async (body) => {
      const { witnessPost } = await import('../../evidence/system/witness-post.ts')
      return witnessPost(prefix)(body)
    },
    post: postCheckpoint,
    print: (text) => void process.stdout.write(text),
    onFault,
    onWitnessed: (cosigned, failed) => say({ kind: 'witnessed', cosigned, failed }),
  },
  settings,
)
const loop = new SealerLoop({
  clock: systemClock,
  size,
  async open() {
    // What an earlier version kept count with: the log says it now.
    rmSync(join(sessionsDirectory(directory), 'cut'), { force: true })
    return await Sealer.open({
      directory,
      keys,
      seeds,
      random,
      clock: systemClock,
      storage: await DirectoryStorage.open(logDirectory(directory)),
      name: settings.name,
      node,
      indexed: () => indexed,
      backlog: () => backlog,
    })
  },
  onState: (state) => say({ kind: 'state', state }),
  onFault,
  onHead(sealer) {
    const { head } = sealer
    if (head === undefined) return
    outlet.signed({
      signed: head.signed,
      reader: sealer.reader(),
      keepCosigned: (signed) => sealer.keepCosigned(signed),
    })
  },
})

port.on('message', (message: ToSealer) => {
  switch (message.kind) {
    case 'indexed':
      indexed = message.sequence
      return
    case 'backlog':
      backlog = message.backlog
      return
    case 'wake':
      loop.wake()
      return
    case 'adopt':
      outlet.adopt(message.settings)
      return
    case 'settle':
      void answer(message.id, loop.settle().then(nothing))
      return
    case 'concerns':
      void answer(
        message.id,
        concerns({ directory, keys }, message.session, message.removal).then((each) => ({ concerns: each })),
      )
      return
    case 'thin':
      void answer(
        message.id,
        thinned({ directory, keys, random }, message.session, message.removal).then((each) => ({
          thinned: each,
        })),
      )
      return
    case 'put':
      // Between two passes: then nobody else is at work on the file.
      void answer(
        message.id,
        loop.between(() => putInPlace(directory, message.session, message.thinned)).then(nothing),
      )
      return
    case 'stop':
      void answer(message.id, Promise.all([loop.stop(), outlet.stop()]).then(nothing))
      return
  }
})
loop.start()

function nothing(): Found {
  return {}
}

async function answer(id: number, work: Promise<Found>): Promise<void> {
  try {
    say({ kind: 'done', id, fault: undefined, found: await work })
  } catch (error) {
    say({ kind: 'done', id, fault: faultOf(error) })
  }
}

/** As the thread that parses does: on Linux a thread has a priority of its own (setpriority(2), notes). */
function stepBack(): void {
  if (process.platform !== 'linux') return
  const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1))
  setPriority(thread, BACKGROUND_NICENESS)
}
