/** The process that makes the requests, as the scenarios use it. */
import type { Started } from '../support/processes.ts'
import type { Done, Job } from './load.ts'
import type { Target } from './targets.ts'

/** Runs one job at a target. */
export type Client = (target: Target, path: string, job: JobKind) => Promise<Done>
type JobKind = Job extends infer J ? (J extends Job ? Omit<J, 'port' | 'path' | 'token'> : never) : never

export function clientOf(load: Started): Client {
  return async (target, path, kind) => {
    const job = { ...kind, port: target.port, path: `${target.prefix}${path}`, token: target.token }
    load.send(`${JSON.stringify(job)}\n`)
    const done: Done = JSON.parse(await load.line())
    return done
  }
}
