import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { type RecordingKeys, type SessionId, systemClock } from '../../core/index.ts'
import { errorOf, type Fault, faultOf } from '../sealer/faults.ts'
import { openS3 } from './s3.ts'
import { type AccessKeys, placeOf, type StoreSettings } from './settings.ts'
import { Uploader } from './uploader.ts'
import { UploaderLoop, type StoreState } from './uploader-loop.ts'

/** The thread that speaks with the object store, so that nothing of it stands in the way of a command. */
export type BucketWorkerData = {
  readonly directory: string
  readonly keys: RecordingKeys
  readonly settings: StoreSettings
  /** Whether keys are to be asked for; else the SDK finds them. */
  readonly hasKeys: boolean
}

export type FromBucket =
  | { readonly kind: 'state'; readonly state: StoreState }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'keys'; readonly id: number }
  | { readonly kind: 'done'; readonly id: number; readonly fault: Fault | undefined }

export type ToBucket =
  | { readonly kind: 'keys'; readonly id: number; readonly answer: AccessKeys | Fault }
  | { readonly kind: 'fetch'; readonly id: number; readonly session: SessionId }
  | { readonly kind: 'settle'; readonly id: number }

/** As the sealer's. */
const BACKGROUND_NICENESS = 5

const port = parentPort
if (port === null) throw new Error('the uploader is not a program of its own')
const say = (message: FromBucket): void => port.postMessage(message)

stepBack()

const { directory, keys, settings, hasKeys }: BucketWorkerData = workerData
const waiting = new Map<number, PromiseWithResolvers<AccessKeys>>()
let nextId = 1
const onFault = (error: unknown): void => say({ kind: 'fault', fault: faultOf(error) })
const loop = new UploaderLoop({
  clock: systemClock,
  random: Math.random,
  async open(onState) {
    const bucket = await openS3(settings, hasKeys ? { keys: askedKeys } : {})
    const { spoolBytesMax } = settings
    const place = placeOf(settings)
    const clock = systemClock
    return new Uploader({ directory, keys, clock, bucket, place, spoolBytesMax, onState, onFault })
  },
  onState: (state) => say({ kind: 'state', state }),
  onFault,
})

port.on('message', (message: ToBucket) => {
  switch (message.kind) {
    case 'keys': {
      const asked = waiting.get(message.id)
      waiting.delete(message.id)
      if ('accessKeyId' in message.answer) asked?.resolve(message.answer)
      else asked?.reject(errorOf(message.answer))
      return
    }
    case 'fetch':
      void answer(message.id, loop.fetch(message.session))
      return
    case 'settle':
      void answer(message.id, loop.settle())
  }
})
loop.start()

function askedKeys(): Promise<AccessKeys> {
  const id = nextId++
  const asked = Promise.withResolvers<AccessKeys>()
  waiting.set(id, asked)
  say({ kind: 'keys', id })
  return asked.promise
}

async function answer(id: number, work: Promise<unknown>): Promise<void> {
  try {
    await work
    say({ kind: 'done', id, fault: undefined })
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
