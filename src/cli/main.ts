/**
 * The command line. Speaks to the control API, and has no powers of its own; `start` runs the gateway itself.
 * Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 75 try again later (the gateway does not answer).
 */
import { styleText } from 'node:util'
import { Command, CommanderError } from 'commander'
import { isGatewayError } from '../core/index.ts'
import { addApprovalCommands } from './approvals.ts'
import { addAuditCommands } from './audit/index.ts'
import { addConfigCommands } from './config.ts'
import { DEFAULT_DATA, UsageError } from './context.ts'
import { addCredentialCommands } from './credentials.ts'
import { addDemoCommand } from './demo.ts'
import { addDoctorCommand } from './doctor.ts'
import { addInitCommand } from './init/index.ts'
import { addOverviewCommands } from './overview.ts'
import { addIdentityCommands, addPeopleCommands } from './people.ts'
import { addPolicyCommands } from './policy/index.ts'
import { addQueryCommand } from './query.ts'
import { addRunCommand } from './run.ts'
import { addSecretCommands } from './secrets.ts'
import { addSessionCommands } from './sessions/index.ts'
import { SqlError } from './sql-error.ts'
import { addStartCommand } from './start.ts'
import { programVersion } from '../composition/version.ts'
import { addWitnessCommands } from './witness.ts'

const EXIT = { done: 0, failed: 1, usage: 2, later: 75 } as const

/** In the order in which a newcomer needs them. */
const COMMANDS = [
  addDemoCommand,
  addInitCommand,
  addStartCommand,
  addOverviewCommands,
  addQueryCommand,
  addRunCommand,
  addCredentialCommands,
  addApprovalCommands,
  addSessionCommands,
  addAuditCommands,
  addPeopleCommands,
  addIdentityCommands,
  addSecretCommands,
  addConfigCommands,
  addPolicyCommands,
  addDoctorCommand,
  addWitnessCommands,
] as const

function build(): Command {
  const program = new Command('sluice')
    .description('A gateway between AI agents and the databases and internal APIs they want data from')
    .version(programVersion(), '--version', 'print the version')
    .exitOverride()
    .showSuggestionAfterError()
  for (const add of COMMANDS) add(program)
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
