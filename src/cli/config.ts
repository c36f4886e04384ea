import { readFileSync } from 'node:fs'
import { styleText } from 'node:util'
import type { Command } from 'commander'
import { z } from 'zod'
import { formatChange } from '../config/index.ts'
import { formatProblem, GatewayError, isGatewayError } from '../core/index.ts'
import type { Common } from './context.ts'
import { call, print, queryText } from './context.ts'
import { instant, listing } from './table.ts'

type FileFlags = Common & { readonly config?: string }

const change = z.object({
  kind: z.enum(['added', 'removed', 'changed']),
  path: z.string(),
  before: z.string().optional(),
  after: z.string().optional(),
})
const activation = z.object({ sequence: z.number(), version: z.string(), at: z.number(), by: z.string() })
const shown = z.object({ version: z.string(), file: z.string(), text: z.string() })

const DEFAULT_FILE = 'sluice.yaml'

export function addConfigCommands(program: Command): void {
  const group = program.command('config').description('the configuration: check, compare, apply, go back')
  withFile(group.command('check'))
    .description('check a file, without a gateway; every problem with its line, column and the fix')
    .action(async (file: string | undefined, flags: FileFlags) => check(fileOf(file, flags), flags))
  withFile(group.command('apply'))
    .description('put a file in force; live sessions take it at their next command')
    .action(async (file: string | undefined, flags: FileFlags) => {
      const text = readText(fileOf(file, flags))
      const answer = await call(flags, activation, 'POST', '/v1/configuration/apply', { text })
      print(flags, answer, () => `Configuration ${answer.version} is in force.`)
    })
  withFile(group.command('diff'))
    .description('what a file would change; with --since: what the active one changed since that version')
    .option('--since <version>', 'an earlier version')
    .action(async (file: string | undefined, flags: FileFlags & { readonly since?: string }) => {
      const checked = z.object({ changes: z.array(change) })
      const answer =
        flags.since === undefined
          ? await call(flags, checked, 'POST', '/v1/configuration/check', {
              text: readText(fileOf(file, flags)),
            })
          : await call(flags, checked, 'GET', `/v1/configuration/diff${queryText({ version: flags.since })}`)
      print(flags, answer, () => changesText(answer.changes))
    })
  group
    .command('history')
    .description('which versions were in force, since when and by whom')
    .action(async (common: Common) => {
      const schema = z.object({ activations: z.array(activation) })
      const answer = await call(common, schema, 'GET', '/v1/configuration/history')
      print(common, answer, () =>
        listing(
          [{ title: '#', right: true }, { title: 'VERSION' }, { title: 'SINCE' }, { title: 'BY' }],
          answer.activations.map((each) => [String(each.sequence), each.version, instant(each.at), each.by]),
          'No configuration was ever in force.',
        ),
      )
    })
  group
    .command('rollback')
    .argument('<version>')
    .description('put an earlier version in force again')
    .action(async (version: string, common: Common) => {
      const answer = await call(common, activation, 'POST', '/v1/configuration/rollback', { version })
      print(common, answer, () => `Configuration ${answer.version} is in force again.`)
    })
  group
    .command('show')
    .description('print the configuration in force, as it was written')
    .action(async (common: Common) => {
      const answer = await call(common, shown, 'GET', '/v1/configuration')
      if (common.json === true) print(common, answer, () => '')
      else process.stdout.write(answer.text.endsWith('\n') ? answer.text : `${answer.text}\n`)
    })
}

function withFile(command: Command): Command {
  return command
    .argument('[file]', `the file (default: ${DEFAULT_FILE})`)
    .option('--config <file>', 'the same')
}

function fileOf(argument: string | undefined, flags: FileFlags): string {
  return argument ?? flags.config ?? DEFAULT_FILE
}

async function check(file: string, common: Common): Promise<void> {
  const text = readText(file)
  // Loaded here, because every other command starts faster without the rule engine.
  const { readConfiguration } = await import('../composition/configuration.ts')
  try {
    const { config } = readConfiguration(file, text, (error) => {
      throw error
    })
    const { version, connections, policy } = config
    const warnings = config.doubts.map(formatProblem)
    const answer = { ok: true, version, connections: connections.size, rules: policy.rules.length, warnings }
    print(common, answer, () =>
      [
        ...warnings.map((each) => `${styleText('yellow', 'warning')}  ${each}`),
        `${styleText('green', 'ok')}  ${file}: ${plural(connections.size, 'connection')}, ${plural(policy.rules.length, 'rule')}`,
        `    version ${version}`,
      ].join('\n'),
    )
  } catch (error) {
    if (!isGatewayError(error) || error.code !== 'invalid') throw error
    const problems = error.message.split('\n')
    process.exitCode = 1
    if (common.json === true) print(common, { ok: false, problems }, () => '')
    else process.stderr.write(`${error.message}\n`)
  }
}

function changesText(changes: readonly z.output<typeof change>[]): string {
  if (changes.length === 0) return 'Nothing differs.'
  const colours = { added: 'green', removed: 'red', changed: 'yellow' } as const
  return changes
    .map(({ kind, path, before, after }) =>
      styleText(
        colours[kind],
        formatChange({
          kind,
          path,
          ...(before === undefined ? {} : { before }),
          ...(after === undefined ? {} : { after }),
        }),
      ),
    )
    .join('\n')
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason'
    throw new GatewayError('not_found', `${file} cannot be read (${code}).`, {
      remedy: 'Name the configuration file, or make one with: sluice init --postgres DSN',
      cause,
    })
  }
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}
