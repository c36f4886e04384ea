/**
 * The command line. Speaks to the control API, and has no powers of its own; `start` runs the gateway itself.
 * Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 75 try again later (the gateway does not answer).
 */
import { styleText } from 'node:util'
import { Command, CommanderError } from 'commander'
import { isGatewayError } from '../core/index.ts'
import { groupsFor } from './commands.ts'
import { DEFAULT_DATA, UsageError } from './context.ts'
import { SqlError } from './sql-error.ts'
import { programVersion } from '../composition/version.ts'

const EXIT = { done: 0, failed: 1, usage: 2, later: 75 } as const

async function build(): Promise<Command> {
  const program = new Command('sluice')
    .description('A gateway between AI agents and the databases and internal APIs they want data from')
    .version(programVersion(), '--version', 'print the version')
    .exitOverride()
    .showSuggestionAfterError()
  for (const add of await Promise.all(groupsFor(process.argv[2]).map(({ load }) => load()))) add(program)
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
    const program = await build()
    await program.parseAsync(process.argv)
    return Number(process.exitCode ?? EXIT.done)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
    return fail(error)
  }
}

/** What went wrong, what to do about it, and nothing of our insides. */
function fail(error: unknown): number {
  const json = process.argv.includes('--json')
  const tell = (answer: Record<string, unknown>, text: string): void => {
    process.stderr.write(`${json ? JSON.stringify({ error: answer }) : text}\n`)
  }
  if (error instanceof SqlError) {
    tell({ ...error.fields, notices: error.notices }, error.text())
    return EXIT.failed
  }
  const head = styleText('red', 'error:', { stream: process.stderr })
  if (error instanceof UsageError) {
    tell({ code: 'usage', message: error.message }, `${head} ${error.message}`)
    return EXIT.usage
  }
  if (!isGatewayError(error)) {
    const message = error instanceof Error ? error.message : String(error)
    tell({ code: 'internal', message }, `${head} a fault of this program: ${message}`)
    return EXIT.failed
  }
  const { code, message, remedy, facts } = error
  tell(
    { code, message, ...(remedy === undefined ? {} : { remedy }), ...facts },
    remedy === undefined ? `${head} ${message}` : `${head} ${message}\n${remedy}`,
  )
  return code === 'upstream_unreachable' ? EXIT.later : EXIT.failed
}

process.exitCode = await main()
