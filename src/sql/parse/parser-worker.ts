import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { LIMITS } from '../../core/limits.ts'
import { condense, depthOf } from './condense.ts'
import { loadParserInstance } from './instance.ts'
import { asOlderServersRead } from './older-servers.ts'

/**
 * The thread that parses long statements, with a stack deep enough for every shape the size limit lets through.
 * Answers each request once. After a fault of the parser it says so and takes no more work: the other side ends it.
 */
export type WorkerRequest = { readonly id: number; readonly text: string }
export type WorkerAnswer =
  | { readonly id: number; readonly kind: 'tree'; readonly json: string }
  | {
      readonly id: number
      readonly kind: 'error'
      readonly message: string
      readonly position: number | undefined
    }
  | { readonly id: number; readonly kind: 'unjudged'; readonly message: string }
  | { readonly id: number; readonly kind: 'fault'; readonly message: string }

/** Of -20 to 19; the default of a process is 0. Anyone may take a thread's priority down. */
const BACKGROUND_NICENESS = 10

const port = parentPort
if (port === null) throw new Error('the parser worker is not a program of its own')

stepBack()

const instance = await loadParserInstance()
let broken = false

port.on('message', (request: WorkerRequest) => {
  if (broken) return
  port.postMessage(answer(request))
})

function answer({ id, text }: WorkerRequest): WorkerAnswer {
  try {
    const raw = instance.parse(text)
    if (raw.kind === 'error') return { id, ...raw }
    if (depthOf(raw.json) > LIMITS.treeDepthMax) {
      return { id, kind: 'unjudged', message: 'The statement nests too deeply to be judged.' }
    }
    const json = JSON.stringify(condense(JSON.parse(asOlderServersRead(raw.json))))
    if (json.length > LIMITS.treeBytesMax) {
      return { id, kind: 'unjudged', message: 'The statement has too many parts to be judged.' }
    }
    return { id, kind: 'tree', json }
  } catch (error) {
    broken = true
    return { id, kind: 'fault', message: error instanceof Error ? error.message : 'unknown' }
  }
}

/**
 * Long statements wait for everybody else: woken by each of them, this thread would take the processor from the one
 * that serves all sessions. On Linux a thread has a priority of its own, under the number it has among the tasks of
 * its process (setpriority(2), notes); elsewhere the threads of a process share one, and it stays as it is.
 */
function stepBack(): void {
  if (process.platform !== 'linux') return
  const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1))
  setPriority(thread, BACKGROUND_NICENESS)
}
