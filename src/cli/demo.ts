import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { styleText } from 'node:util'
import type { Command } from 'commander'
import { TOTP } from 'otpauth'
import { brokenAt, cutAt, identityKey, markedLines, Secret } from '../core/index.ts'
import type { RunningGateway } from '../main.ts'
import { SAMPLE_SECRETS, sampleConfiguration, startSample } from '../sample/index.ts'
import { safe, safeText } from '../recording/index.ts'
import type { Common } from './context.ts'
import { DEFAULT_DATA } from './context.ts'
import { demoGuide } from './demo-guide.ts'
import { reportFault, stopSignal } from './start.ts'
import { columnsOf, terminalColumns } from './table.ts'

type Approval = Parameters<Parameters<RunningGateway['parts']['approvals']['onChange']>[0]>[0]

type DemoFlags = Common & { readonly demo: string }

const PORTS = { postgres: 15432, http: 18080, api: 18443 } as const
const PERSON = 'person:ada'
const PERIOD_MS = 30_000

/** `sluice demo`: what `npm start` runs. A real database, its API, and a gateway in front of both. */
export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('run a sample company and a gateway in front of it')
    .option('--demo <dir>', 'where the sample keeps its files', '.sluice/demo')
    .action(async (flags: DemoFlags) => {
      await mkdir(flags.demo, { recursive: true, mode: 0o700 })
      say(flags, 'Starting the sample database and its API ...')
      const secrets = { superuser: fresh(), role: fresh(), apiToken: fresh() }
      const sample = await startSample({ dataDirectory: join(flags.demo, 'postgres'), secrets })
      try {
        const configFile = join(flags.demo, 'sluice.yaml')
        const ports = {
          postgres: await freePort(PORTS.postgres),
          http: await freePort(PORTS.http),
          api: await freePort(PORTS.api),
        }
        const database = { port: sample.postgres.port, role: sample.role, name: sample.database }
        await writeFile(configFile, sampleConfiguration({ ports, database, apiUrl: sample.api.url }))
        const gateway = await startDemoGateway(flags, configFile)
        try {
          await gateway.parts.sealed.set(SAMPLE_SECRETS.role, new Secret(secrets.role), 'demo')
          await gateway.parts.sealed.set(SAMPLE_SECRETS.apiToken, new Secret(secrets.apiToken), 'demo')
          const codes = await enrolAda(gateway)
          announceHolds(flags, gateway, codes)
          if (flags.json === true) {
            process.stdout.write(
              `${JSON.stringify({ ready: true, pid: process.pid, endpoints: gateway.endpoints })}\n`,
            )
          } else process.stdout.write(demoGuide({ endpoints: gateway.endpoints, data: flags.data }))
          await stopSignal()
          say(flags, 'Stopping ...')
        } finally {
          await gateway.stop()
        }
      } finally {
        await sample.stop()
      }
    })
}

async function startDemoGateway(flags: DemoFlags, configFile: string): Promise<RunningGateway> {
  // Loaded here, because every other command starts faster without them.
  const { startGateway } = await import('../main.ts')
  const { createMasterKeyFile } = await import('../main.ts')
  const keyFile = join(flags.demo, 'sluice.key')
  if (!existsSync(keyFile)) await createMasterKeyFile(keyFile, randomBytes)
  return startGateway({
    dataDirectory: flags.data,
    configFile,
    masterKey: { environment: {}, keyFile, demo: true, warn: (message) => say(flags, message) },
    report: reportFault,
  })
}

/** The demonstration plays the authenticator of its one person; a real person has it on a telephone. */
async function enrolAda(gateway: RunningGateway): Promise<() => string> {
  const { people } = gateway.parts
  const { code } = await people.invite(PERSON, 'demo')
  const enrolment = await people.begin(code.reveal())
  const authenticator = new TOTP({ secret: enrolment.secret.reveal() })
  let used = 0
  const next = (): string => {
    // A code counts once: the one after is accepted half a minute early.
    used = Math.max(Math.floor(Date.now() / PERIOD_MS), used + 1)
    return authenticator.generate({ timestamp: used * PERIOD_MS })
  }
  await people.confirm(code.reveal(), next())
  return next
}

/** A code that was shown is good for this long at least: its own half minute and the one after. */
const CODE_LASTS_MS = 2 * PERIOD_MS
/** Characters of a command that are shown here. */
const TEXT_SHOWN = 1_000
/** How often a ticket that nobody answers is shown again with a fresh code. */
const FRESH_CODES = 10

function announceHolds(flags: DemoFlags, gateway: RunningGateway, nextCode: () => string): void {
  const told = new Map<string, NodeJS.Timeout>()
  const data = flags.data === DEFAULT_DATA ? '' : ` --data ${flags.data}`
  const tell = (approval: Approval, title: string, again: number): void => {
    const { ticket } = approval
    say(
      flags,
      `\n${styleText('yellow', title)} ${ticket}\n${askedText(approval)}\n` +
        `Let it run, as ada from a second terminal (or refuse it: deny in place of approve):\n` +
        `  npm run -s sluice -- approvals approve ${ticket} --as ada --code ${nextCode()}${data}`,
    )
    const later = setTimeout(() => {
      if (again > 0) tell(approval, 'A fresh code for', again - 1)
    }, CODE_LASTS_MS)
    told.set(ticket, later.unref())
  }
  gateway.parts.approvals.onChange((approval) => {
    if (approval.state !== 'pending') {
      const later = told.get(approval.ticket)
      if (later === undefined) return
      clearTimeout(later)
      told.delete(approval.ticket)
      say(flags, `${approval.ticket} is ${approval.state}.`)
      return
    }
    if (!told.has(approval.ticket) && approval.answers.length === 0) tell(approval, 'Held', FRESH_CODES)
  })
}

/**
 * Who asks for what, where, with what people are warned of; the whole of a long text is shown by `approvals show`, and by `approve` at a
 * terminal. No line of the command looks like one of ours.
 */
export function askedText(
  {
    chain,
    connection,
    text,
    parameters,
    shown = { text, ...(parameters && { parameters }) },
    warnings = [],
    under,
  }: Asked,
  room = terminalColumns(),
): string {
  const who = chain.map(identityKey).join(' for ')
  const begin = cutAt(safeText(shown.text), TEXT_SHOWN)
  const rest = safeText(shown.text).length - begin.length
  const more = rest > 0 ? [`~ ${rest} characters more: look with approvals show before you answer`] : []
  const values = (shown.parameters ?? []).length
  const hung = (line: string): string => brokenAt(line, room - 8, columnsOf).join('\n        ')
  return [
    hung(`${safe(who)} wants to run this on ${connection}:`),
    ...warnings.map((each) => hung(`! ${safe(each)}`)),
    ...(under?.changes ?? []).map((each) => hung(`session: ${safe(each)}`)),
    ...markedLines(begin, room, columnsOf),
    ...more,
    ...(values === 0 ? [] : [`with ${values} parameters`]),
  ].join('\n')
}

type Asked = Pick<Approval, 'chain' | 'connection' | 'text' | 'parameters' | 'shown' | 'warnings' | 'under'>

function say(flags: DemoFlags, text: string): void {
  if (flags.json !== true) process.stdout.write(`${text}\n`)
}

function fresh(): string {
  return randomBytes(24).toString('base64url')
}

/** The wanted port, or any free one when somebody has it. */
function freePort(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', () => resolve(wanted === 0 ? Promise.reject(new Error('no free port')) : freePort(0)))
    probe.listen(wanted, '127.0.0.1', () => {
      const at = probe.address()
      probe.close(() =>
        typeof at === 'object' && at !== null ? resolve(at.port) : reject(new Error('no port')),
      )
    })
  })
}
