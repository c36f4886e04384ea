import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import type { Common } from '../context.ts'
import { UsageError } from '../context.ts'
import { entriesOf, newestSession } from './entries.ts'
import { scenes } from './scenes.ts'

type ReplayFlags = Common & {
  readonly speed: string
  readonly step?: boolean
  readonly rows: string
}

const SPEED_MAX = 1_000_000
const ROWS_MAX = 10_000

export function addReplay(group: Command): void {
  group
    .command('replay')
    .argument('[id]', 'a session; the newest when not given')
    .description('play a recording: commands, decisions and what the client saw, at the original pace')
    .option('--speed <factor>', 'so many times as fast', '1')
    .option('--step', 'one entry each time you press Enter; q and Enter ends it')
    .option('--rows <count>', 'rows of a result, and lines of a body, to show at most', '50')
    .action(async (id: string | undefined, flags: ReplayFlags) => {
      const speed = numberIn(flags.speed, '--speed', 0.01, SPEED_MAX)
      const rows = numberIn(flags.rows, '--rows', 1, ROWS_MAX)
      const session = id ?? (await newestSession(flags))
      const pace = flags.step === true ? stepping() : timed(speed)
      for await (const scene of scenes(entriesOf(flags, session, 'replay', true), rows)) {
        if (!(await pace.ready(scene.time))) break
        process.stdout.write(`${scene.text}\n`)
      }
      pace.end()
    })
}

/** Says when the next scene appears; false: no more of them. */
type Pace = { ready(time: number): Promise<boolean>; end(): void }

/** At the pace of the recording: how long it took to get and show a scene is not added. */
function timed(speed: number): Pace {
  const began = Date.now()
  let first: number | undefined
  return {
    async ready(time) {
      first ??= time
      const due = began + (time - first) / speed
      // Node's timers reach 24 days.
      while (due > Date.now()) await sleep(Math.min(due - Date.now(), 2 ** 31 - 1))
      return true
    },
    end() {
      // Nothing is open.
    },
  }
}

function stepping(): Pace {
  const lines = createInterface({ input: process.stdin })
  const presses = lines[Symbol.asyncIterator]()
  let first = true
  return {
    async ready() {
      if (first) {
        first = false
        process.stderr.write('Enter shows the next entry, q and Enter ends.\n')
        return true
      }
      const { done, value } = await presses.next()
      return done !== true && value.trim().toLowerCase() !== 'q'
    },
    end: () => lines.close(),
  }
}

function numberIn(text: string, option: string, min: number, max: number): number {
  const number = Number(text)
  if (text.trim() !== '' && number >= min && number <= max) return number
  throw new UsageError(`${option} takes a number from ${min} to ${max}, not ${JSON.stringify(text)}.`)
}
