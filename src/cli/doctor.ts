import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join, relative } from 'node:path'
import { styleText } from 'node:util'
import type { Command } from 'commander'
import { z } from 'zod'
import { formatProblem, isGatewayError, isThisMachine } from '../core/index.ts'
import { keyUse, safe } from '../recording/index.ts'
import type { Common } from './context.ts'
import { call, print } from './context.ts'
import type { Finding } from './findings.ts'
import {
  bucketFindings,
  channelFindings,
  logFindings,
  outletFindings,
  recordingFindings,
  retentionFindings,
  storeFindings,
} from './findings.ts'

type DoctorFlags = Common & { readonly config?: string; readonly keyFile?: string }

const status = z.object({
  pid: z.number(),
  configuration: z.object({ version: z.string(), file: z.string() }),
  recordingKeys: z.array(z.string()),
  log: z.object({
    key: z.string().optional(),
    entries: z.number(),
    lagFrames: z.number(),
    lagMs: z.number(),
    fault: z.object({ message: z.string(), remedy: z.string().optional() }).optional(),
    stopped: z.boolean(),
    witnesses: z.object({ cosigned: z.array(z.string()), failed: z.array(z.string()) }),
    gap: z.object({ first: z.number(), last: z.number() }).optional(),
  }),
  store: z
    .object({
      place: z.string(),
      waitingFiles: z.number(),
      waitingBytes: z.number(),
      spoolBytes: z.number(),
      spoolBytesMax: z.number(),
      refused: z.number(),
      undeleted: z.number(),
      fault: z.object({ message: z.string(), remedy: z.string().optional() }).optional(),
    })
    .optional(),
  retention: z.object({ emptyHolds: z.array(z.string()), erasuresWaiting: z.number() }),
  outlets: z.array(
    z.object({
      name: z.string(),
      lagFrames: z.number(),
      missed: z.number(),
      parked: z.boolean(),
      fault: z.object({ message: z.string(), remedy: z.string().optional() }).optional(),
    }),
  ),
  channels: z.array(
    z.object({
      name: z.string(),
      waiting: z.number(),
      undelivered: z.number(),
      fault: z.string().optional(),
    }),
  ),
  shared: z
    .object({
      node: z.string(),
      behindMs: z.number(),
      clockAheadMs: z.number(),
      nodes: z.array(z.object({ node: z.string(), version: z.string(), isRunning: z.boolean() })).optional(),
    })
    .optional(),
})
const connections = z.object({ connections: z.array(z.object({ name: z.string() })) })
const probed = z.object({
  findings: z.array(
    z.object({
      level: z.enum(['ok', 'warning', 'problem']),
      message: z.string(),
      remedy: z.string().optional(),
    }),
  ),
})

/** `sluice doctor`: what is wrong, what could be safer, and what nothing here protects against. */
export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('check the gateway, its upstreams and its files; exit code 1 when there is a problem')
    .option('--config <file>', 'the configuration; the running gateway\u2019s by default')
    .option('--key-file <file>', 'the master key; sluice.key beside the configuration by default')
    .action(async (flags: DoctorFlags) => {
      const findings = await examine(flags)
      print(flags, { findings }, () => findings.map(shown).join('\n'))
      if (findings.some(({ level }) => level === 'problem')) process.exitCode = 1
    })
}

async function examine(flags: DoctorFlags): Promise<Finding[]> {
  const findings: Finding[] = []
  const running = await gateway(flags, findings)
  const file = running?.configuration.file ?? flags.config
  if (file !== undefined) await configuration(flags.config ?? file, findings)
  await upstreams(flags, findings)
  masterKey(flags, file, findings)
  try {
    findings.push(...recordingFindings(await keyUse(flags.data), running?.recordingKeys))
  } catch (error) {
    findings.push(failure('recording', error))
  }
  if (running !== undefined)
    findings.push(
      ...logFindings(running.log),
      ...bucketFindings(running.store),
      ...retentionFindings(running.retention),
      ...outletFindings(running.outlets),
      ...channelFindings(running.channels),
      ...storeFindings(running.shared),
    )
  dataDirectory(flags.data, findings)
  findings.push({
    level: 'note',
    about: 'boundary',
    message:
      'The same Unix user is no boundary: whoever runs as the user of the gateway can mint credentials and read its files.',
    remedy: 'Run agents as another user, in a container, or on another machine.',
  })
  return findings
}

/** Whether it answers; what it says of itself. */
async function gateway(flags: DoctorFlags, findings: Finding[]): Promise<z.infer<typeof status> | undefined> {
  try {
    const answer = await call(flags, status, 'GET', '/v1/status')
    findings.push({ level: 'ok', about: 'gateway', message: `It answers (process ${answer.pid}).` })
    return answer
  } catch (error) {
    findings.push(failure('gateway', error))
    return undefined
  }
}

async function configuration(file: string, findings: Finding[]): Promise<void> {
  if (!existsSync(file)) {
    findings.push({
      level: 'warning',
      about: 'configuration',
      message: `${file} is not there.`,
      remedy: 'Write the active one into it: sluice config show',
    })
    return
  }
  const { readConfiguration } = await import('../composition/configuration.ts')
  try {
    const { config } = readConfiguration(file, readFileSync(file, 'utf8'), (error) =>
      findings.push(failure('configuration', error)),
    )
    findings.push({ level: 'ok', about: 'configuration', message: `${file} is valid (${config.version}).` })
    for (const each of config.doubts)
      findings.push({ level: 'warning', about: 'configuration', message: formatProblem(each) })
    const open = [...config.listeners.values()].filter(
      (each) => !isThisMachine(each.address) && !each.tlsRequired,
    )
    for (const each of open) {
      findings.push({
        level: 'warning',
        about: 'configuration',
        message: `${each.address}:${each.port} can be reached from other machines without TLS.`,
        remedy: 'Set tls with required: true, or listen on 127.0.0.1.',
      })
    }
  } catch (error) {
    findings.push(failure('configuration', error))
  }
}

async function upstreams(flags: DoctorFlags, findings: Finding[]): Promise<void> {
  try {
    const { connections: known } = await call(flags, connections, 'GET', '/v1/connections')
    for (const { name } of known) {
      const answer = await call(flags, probed, 'POST', `/v1/connections/${name}/probe`)
      findings.push(...answer.findings.map((each) => ({ ...each, about: name })))
    }
  } catch (error) {
    // Said once already, above.
    if (isGatewayError(error) && error.code === 'upstream_unreachable') return
    findings.push(failure('connections', error))
  }
}

function masterKey(flags: DoctorFlags, config: string | undefined, findings: Finding[]): void {
  const about = 'master key'
  const beside = config === undefined ? undefined : join(dirname(config), 'sluice.key')
  const file = flags.keyFile ?? (beside !== undefined && existsSync(beside) ? beside : undefined)
  if (file === undefined) {
    findings.push({
      level: 'note',
      about,
      message:
        'It is in no file that is known here; it may be in SLUICE_KEY, a systemd credential, or come from a command.',
    })
    return
  }
  if (!existsSync(file)) {
    findings.push({
      level: 'problem',
      about,
      message: `${file} is not there.`,
      remedy: 'Name it with --key-file.',
    })
    return
  }
  const way = existsSync(flags.data) ? relative(realpathSync(flags.data), realpathSync(file)) : '..'
  if (!way.startsWith('..') && !isAbsolute(way)) {
    findings.push({
      level: 'problem',
      about,
      message: `${file} lies inside the data directory.`,
      remedy: 'Move it elsewhere: a copy of the data would hold the key as well.',
    })
    return
  }
  const mode = statSync(file).mode & 0o777
  findings.push(
    (mode & 0o077) === 0
      ? { level: 'ok', about, message: `${file} lies outside the data directory, for its owner only.` }
      : {
          level: 'problem',
          about,
          message: `${file} can be read by others (mode ${octal(mode)}).`,
          remedy: `chmod 600 ${file}`,
        },
  )
}

/** The directory itself keeps others out; what lies in it may then be as it is, but for keys. */
function dataDirectory(data: string, findings: Finding[]): void {
  const about = 'data directory'
  if (!existsSync(data)) {
    findings.push({
      level: 'warning',
      about,
      message: `${data} is not there.`,
      remedy: 'Name it with --data, or set SLUICE_DATA.',
    })
    return
  }
  const { mode, uid } = statSync(data)
  if ((mode & 0o077) !== 0) {
    findings.push({
      level: 'problem',
      about,
      message: `${data} can be entered by others (mode ${octal(mode & 0o777)}).`,
      remedy: `chmod 700 ${data}`,
    })
  } else findings.push({ level: 'ok', about, message: `${data} is for its owner only.` })
  if (process.getuid !== undefined && uid !== process.getuid()) {
    findings.push({
      level: 'note',
      about,
      message: `It belongs to another user (${uid}) than the one who asks (${process.getuid()}).`,
    })
  }
  const tls = join(data, 'tls')
  const exposed = existsSync(tls)
    ? readdirSync(tls).filter(
        (name) => name.endsWith('-key.pem') && (statSync(join(tls, name)).mode & 0o077) !== 0,
      )
    : []
  for (const name of exposed) {
    findings.push({
      level: 'problem',
      about,
      message: `The key ${name} can be read by others.`,
      remedy: `chmod 600 ${join(tls, name)}`,
    })
  }
}

function failure(about: string, error: unknown): Finding {
  if (isGatewayError(error)) return { level: 'problem', about, message: error.message, remedy: error.remedy }
  return { level: 'problem', about, message: error instanceof Error ? error.message : String(error) }
}

function shown({ level, about, message, remedy }: Finding): string {
  const mark = {
    ok: styleText('green', 'ok     '),
    warning: styleText('yellow', 'warning'),
    problem: styleText('red', 'problem'),
    note: styleText('blue', 'note   '),
  }[level]
  const lines = message.split('\n').map(safe)
  const more = [...lines.slice(1), ...(remedy === undefined ? [] : [safe(remedy)])].map(
    (line) => `         ${line}`,
  )
  return [`${mark}  ${styleText('bold', safe(about))}: ${lines[0] ?? ''}`, ...more].join('\n')
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}
