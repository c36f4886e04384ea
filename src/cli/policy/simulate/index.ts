import type { Command } from 'commander'
import { masterKeys } from '../../audit/keys.ts'
import type { Common } from '../../context.ts'
import { print, UsageError } from '../../context.ts'
import { parseTime } from '../../times.ts'
import { readFileIn } from '../check.ts'
import { simulationAnswer, simulationText } from './report.ts'

type SimulateFlags = Common & {
  readonly config: string
  readonly since: string
  readonly until?: string
  readonly connection?: string
  readonly masterKey?: string
}

/** Nothing that could be judged would change, and something could not be judged. */
const NOT_ALL = 3
const PROGRESS_MS = 200

/** `sluice policy simulate`: what a draft would have decided otherwise. Reads the recording, asks no gateway. */
export function addSimulate(group: Command): void {
  group
    .command('simulate')
    .description(
      'run a draft over recorded commands; exit code 1 when a decision would change, 3 when some cannot be judged or there are none',
    )
    .requiredOption('--config <file>', 'the draft')
    .requiredOption('--since <time>', 'commands from this time on, such as 7d (ago) or 2026-01-31')
    .option('--until <time>', 'commands up to this time')
    .option('--connection <name>', 'this connection only')
    .option(
      '--master-key <file>',
      'the master key of the gateway, which opens recordings; SLUICE_KEY by default',
    )
    .action(async (flags: SimulateFlags) => {
      const keys = await masterKeys(flags.masterKey, flags.data)
      if (keys === undefined)
        throw new UsageError('Give the master key with --master-key, or in SLUICE_KEY: it opens recordings.')
      const until = flags.until === undefined ? Number.MAX_SAFE_INTEGER : parseTime(flags.until)
      // Loaded here, because every other command starts faster without the rule engine and the parser.
      const { simulate } = await import('../../../composition/simulation.ts')
      const { onProgress, done } = progress(flags)
      try {
        const simulated = await simulate({
          directory: flags.data,
          keys: keys.recording,
          file: flags.config,
          text: readFileIn(flags.config),
          since: parseTime(flags.since),
          until,
          connection: flags.connection,
          onProgress,
        })
        done()
        const { commands, changed, unjudged } = simulated.result
        print(flags, simulationAnswer(simulated), () => simulationText(flags.config, simulated))
        if (changed > 0) process.exitCode = 1
        else if (unjudged.length > 0 || commands === 0) process.exitCode = NOT_ALL
      } finally {
        done()
      }
    })
}

/** One line on a terminal, written over and over; nothing elsewhere. */
function progress(flags: Common) {
  const isShown = process.stderr.isTTY && flags.json !== true
  let last = 0
  let shown = false
  return {
    onProgress: (sessions: number, of: number): void => {
      if (!isShown || Date.now() - last < PROGRESS_MS) return
      last = Date.now()
      shown = true
      process.stderr.write(`\r\u001b[K${sessions} of ${of} sessions`)
    },
    done: (): void => {
      if (shown) process.stderr.write('\r\u001b[K')
      shown = false
    },
  }
}
