import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join, relative } from 'node:path'
import { styleText } from 'node:util'
import type { Command } from 'commander'
import { GatewayError, isThisMachine, Secret, systemClock } from '../../core/index.ts'
import type { Common } from '../context.ts'
import { DEFAULT_DATA, print, UsageError } from '../context.ts'
import { programName } from '../program-name.ts'
import { askHidden } from '../prompt.ts'
import { reportFault } from '../start.ts'
import { table } from '../table.ts'
import type { ProposedLabel } from './labels.ts'
import { proposeLabels } from './labels.ts'
import type { Survey, Target } from './survey.ts'
import { readDsn, survey } from './survey.ts'
import { configurationText } from './text.ts'

type InitFlags = Common & {
  readonly postgres: string
  readonly dir: string
  readonly name?: string
  readonly agent: string
  readonly person?: string
}

const PORTS = { postgres: 15_432, api: 18_443 } as const
const SHOWN_MAX = 40

/** `sluice init`: a gateway in front of a database that somebody has. */
export function addInitCommand(program: Command): void {
  program
    .command('init')
    .description('write a configuration, a key and certificates for a database of yours')
    .requiredOption('--postgres <dsn>', 'the database; without a password in it you are asked')
    .option('--dir <dir>', 'where to write', 'sluice')
    .option('--name <connection>', 'the name of the connection; the database\u2019s by default')
    .option('--agent <name>', 'the name of an agent identity', 'agent')
    .option('--person <name>', 'the name of a person who answers approval requests; yours by default')
    .action(init)
}

async function init(flags: InitFlags): Promise<void> {
  const files = {
    config: join(flags.dir, 'sluice.yaml'),
    key: join(flags.dir, 'sluice.key'),
    data: flags.data === DEFAULT_DATA ? join(flags.dir, 'data') : flags.data,
  }
  for (const path of [files.config, files.key]) {
    if (!existsSync(path)) continue
    throw new GatewayError('conflict', `${path} exists already, and is left as it is.`, {
      remedy: 'Write somewhere else with: --dir DIR',
    })
  }
  const target = await withPassword(readDsn(flags.postgres, process.env))
  const found = await survey(target)
  const labels = proposeLabels(found.columns)
  const connection = connectionName(flags.name ?? target.database)
  const person = flags.person ?? personName()
  const passwordName = target.password === undefined ? undefined : `${connection}-password`
  const ports = { postgres: await freePort(PORTS.postgres), api: await freePort(PORTS.api) }
  const wanted = {
    target,
    survey: found,
    labels,
    connection,
    agent: flags.agent,
    person,
    passwordName,
    tls: relative(flags.dir, join(files.data, 'tls')),
    ports,
  }
  const text = configurationText(wanted)
  // A configuration that cannot be read is found here, not at the first start.
  const { readConfiguration } = await import('../../composition/configuration.ts')
  const { config } = readConfiguration(files.config, text, reportFault)
  mkdirSync(flags.dir, { recursive: true, mode: 0o700 })
  const { prepareGateway } = await import('../../main.ts')
  await prepareGateway({
    dataDirectory: files.data,
    keyFile: files.key,
    secrets: new Map(
      passwordName === undefined || target.password === undefined
        ? []
        : [[passwordName, new Secret(target.password)]],
    ),
    clock: systemClock,
    random: randomBytes,
    report: reportFault,
  })
  writeFileSync(files.config, text, { mode: 0o600, flag: 'wx' })
  // The key and what it opens lie here: they are not to be committed by accident.
  const ignored = join(flags.dir, '.gitignore')
  if (!existsSync(ignored)) writeFileSync(ignored, '*\n', { mode: 0o600 })
  const commands = nextCommands(files, connection, flags.agent, person, firstQuery(found, labels))
  print(
    flags,
    {
      config: files.config,
      key: files.key,
      data: files.data,
      version: config.version,
      connection,
      labels: labels.map(({ schema, table: name, column, label }) => ({
        schema,
        table: name,
        column,
        label,
      })),
      powers: found.powers,
      commands: commands.map(([, command]) => command),
    },
    () => summary(files, target, found, labels, commands),
  )
}

type Files = { readonly config: string; readonly key: string; readonly data: string }
type Step = readonly [what: string, command: string]

function nextCommands(
  files: Files,
  connection: string,
  agent: string,
  person: string,
  sql: string,
): readonly Step[] {
  const sluice = programName()
  const data = `--data ${files.data}`
  return [
    ['Start the gateway (in a terminal of its own)', `${sluice} start --config ${files.config} ${data}`],
    [
      'Ask as the agent: protected values come masked',
      `${sluice} query ${connection} ${shell(sql)} --as ${agent} ${data}`,
    ],
    ['Let the agent use psql, or any program', `${sluice} run ${connection} --as ${agent} ${data} -- psql`],
    [
      `Enrol ${person}, who answers what is held`,
      `${sluice} people invite ${person} ${data} && ${sluice} people enrol ${data}`,
    ],
  ]
}

/** A query that shows masks, where there is anything to mask. */
function firstQuery(found: Survey, labels: readonly ProposedLabel[]): string {
  const [first] = labels.length === 0 ? found.columns : labels
  if (first === undefined) return 'SELECT 1'
  const name = (part: string): string =>
    /^[a-z_][a-z0-9_]*$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`
  const schema = first.schema === 'public' ? '' : `${name(first.schema)}.`
  const columns = labels
    .filter((each) => each.schema === first.schema && each.table === first.table)
    .map((each) => name(each.column))
  return `SELECT ${columns.join(', ') || '*'} FROM ${schema}${name(first.table)} LIMIT 5`
}

function shell(text: string): string {
  return /["$`\\!]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`
}

function summary(
  files: Files,
  target: Target,
  found: Survey,
  labels: readonly ProposedLabel[],
  commands: readonly Step[],
): string {
  const shown = labels.slice(0, SHOWN_MAX)
  const warnings = [
    ...(found.powers.length === 0
      ? []
      : [
          `The role ${target.user} ${found.powers.join(', ')}. Give the gateway a role that may do no more than your agents.`,
        ]),
    ...(found.sslmode === 'disable' && !isThisMachine(target.host)
      ? ['The server takes no TLS: passwords and rows cross the network in the clear.']
      : []),
    ...(found.sslmode === 'require' && target.sslmode === undefined
      ? ['The server\u2019s certificate cannot be verified: set sslmode verify-full and sslrootcert.']
      : []),
  ]
  return [
    `${styleText('green', 'Done.')} PostgreSQL ${found.serverVersion}, ${found.tables} tables, ${found.columns.length} columns.`,
    '',
    `  ${files.config}   the configuration`,
    `  ${files.key}    the master key: keep a copy, and never beside the data`,
    `  ${files.data}          recordings, sealed secrets, certificates`,
    '',
    ...(labels.length === 0
      ? ['No column name says that its values need protection. Add labels in the configuration.']
      : [
          `${labels.length} columns are labelled by their names. Look through them:`,
          '',
          indent(
            table(
              [{ title: 'COLUMN' }, { title: 'LABEL' }],
              shown.map((each) => [`${each.schema}.${each.table}.${each.column}`, each.label]),
            ),
          ),
          ...(labels.length > shown.length
            ? [`  ... and ${labels.length - shown.length} more in the configuration`]
            : []),
        ]),
    '',
    ...warnings.map((warning) => `${styleText('yellow', 'warning:')} ${warning}`),
    ...(warnings.length === 0 ? [] : ['']),
    'Next:',
    ...commands.flatMap(([what, command], index) => [
      '',
      `${index + 1}. ${what}`,
      `   ${styleText('cyan', command)}`,
    ]),
  ].join('\n')
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ')
}

async function withPassword(target: Target): Promise<Target> {
  if (target.password !== undefined || !process.stdin.isTTY) return target
  const password = await askHidden(`Password of ${target.user} (empty: none): `)
  return password === '' ? target : { ...target, password }
}

/** A database's name as a connection's: small letters, digits, - and _. */
function connectionName(wanted: string): string {
  const name = wanted
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 63)
  if (name !== '') return name
  throw new UsageError('Name the connection with --name: small letters, digits, - and _.')
}

function personName(): string {
  const name = userInfo().username.replaceAll(/[^A-Za-z0-9._@+-]/g, '')
  return /^[A-Za-z0-9]/.test(name) ? name : 'admin'
}

/** The wanted port, or the next one that nobody has. */
async function freePort(wanted: number): Promise<number> {
  for (let port = wanted; port < wanted + 100; port++) {
    if (await isFree(port)) return port
  }
  throw new GatewayError('conflict', `No port from ${wanted} on is free.`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
