/** What a session costs that does nothing: memory of the gateway with many of them open, divided by their number. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { collectGarbage, inspectorUrl } from '../support/inspector.ts'
import { residentBytes, start } from '../support/processes.ts'
import type { Measures } from '../support/report.ts'
import { rounded } from '../support/statistics.ts'
import { PORTS, runSluice } from './sluice.ts'
import { environmentOf } from './target.ts'

export type IdlePlan = {
  readonly sessions: number
  readonly kinds: readonly IdleKind[]
}

/** Which side is encrypted. */
export type IdleKind = 'plain' | 'tls.client' | 'tls.both'

export type IdleFigures = {
  readonly sessions: number
  readonly kibPerSession: number
  readonly beforeBytes: number
  readonly afterBytes: number
}

export type Idle = {
  readonly measures: Measures
  readonly figures: Partial<Record<IdleKind, IdleFigures>>
}

/** A gateway of its own for each kind: memory that one left behind would be hidden from the next. */
export async function idle(plan: IdlePlan, say: (line: string) => void): Promise<Idle> {
  const measures: Measures = {}
  const found: Partial<Record<IdleKind, IdleFigures>> = {}
  const fake = start(process.execPath, [join(import.meta.dirname, 'fake-server.ts')])
  try {
    const port = Number(await fake.line())
    for (const kind of plan.kinds) {
      const figures = await idleOf(kind, plan.sessions, port)
      found[kind] = figures
      measures[`idle.${kind}.kib_per_session`] = figures.kibPerSession
      say(`idle, ${kind}: ${figures.kibPerSession} KiB a session with ${figures.sessions} of them`)
    }
  } finally {
    await fake.stop()
  }
  return { measures, figures: found }
}

async function idleOf(kind: IdleKind, sessions: number, fakePort: number): Promise<IdleFigures> {
  const sluice = await runSluice({
    ports: { [PORTS.fake]: fakePort },
    nodeArguments: ['--inspect=127.0.0.1:0'],
  })
  try {
    const at = await sluice.coordinates(kind === 'tls.both' ? 'idle-tls' : 'idle', 'bench')
    const encryption = kind === 'plain' ? 'plain' : 'tls'
    const hold = async (count: number) => {
      const holder = start(
        process.execPath,
        [join(import.meta.dirname, 'holder.ts'), String(count), encryption],
        { env: environmentOf(at) },
      )
      await holder.line()
      return holder
    }
    const settled = async (): Promise<number> => {
      await sleep(500)
      await collectGarbage(inspectorUrl(sluice.complaints()))
      await sleep(200)
      return residentBytes(sluice.pid)
    }
    // A first lot stays open: code gets compiled, pools and the young generation grow, and none of that belongs to a
    // session; closed again, it would leave room for the next ones to hide in.
    const first = await hold(Math.ceil(sessions / 5))
    const beforeBytes = await settled()
    const rest = await hold(sessions)
    const afterBytes = await settled()
    await Promise.all([first.stop(), rest.stop()])
    const kibPerSession = rounded((afterBytes - beforeBytes) / 1024 / sessions)
    return { sessions, kibPerSession, beforeBytes, afterBytes }
  } finally {
    await sluice.stop()
  }
}
