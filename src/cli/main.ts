/**
 * The command line. Speaks to the control API, and has no powers of its own; `start` runs the gateway itself.
 * Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 75 try again later (the gateway does not answer).
 */
import { Command, CommanderError } from 'commander'
import { isGatewayError } from '../core/index.ts'
import { DEFAULT_DATA } from './context.ts'
import { addCredentialCommands } from './credentials.ts'
import { addDemoCommand } from './demo.ts'
import { addStartCommand } from './start.ts'

const EXIT = { done: 0, failed: 1, usage: 2, later: 75 } as const

function build(): Command {
  const program = new Command('sluice')
    .description('A gateway between AI agents and the databases and internal APIs they want data from')
    .exitOverride()
    .showSuggestionAfterError()
  for (const add of [addStartCommand, addDemoCommand, addCredentialCommands]) add(program)
  for (const command of program.commands) everywhere(command)
  return program
}

/** Options that every command has, sub-commands included. */
function everywhere(command: Command): void {
  command.exitOverride()
  if (command.commands.length > 0) {
    for (const each of command.commands) everywhere(each)
    return
  }
  command
    .option('--data <dir>', 'the data directory of the gateway', process.env.SLUICE_DATA ?? DEFAULT_DATA)
    .option('--json', 'answer with one line of JSON')
}

async function main(): Promise<number> {
  try {
    await build().parseAsync(process.argv)
    return EXIT.done
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
    if (!isGatewayError(error)) throw error
    process.stderr.write(`error: ${error.message}\n`)
    if (error.remedy !== undefined) process.stderr.write(`${error.remedy}\n`)
    return error.code === 'upstream_unreachable' ? EXIT.later : EXIT.failed
  }
}

process.exitCode = await main()
