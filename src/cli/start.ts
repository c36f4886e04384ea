import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'
import type { Command } from 'commander'
import type { Common } from './context.ts'

export type StartFlags = Common & {
  readonly config: string
  readonly keyFile?: string
  readonly keyCommand?: string
}

/** `sluice start`: the gateway in the foreground, until SIGTERM or SIGINT. */
export function addStartCommand(program: Command): void {
  program
    .command('start')
    .description('run the gateway in the foreground')
    .requiredOption('--config <file>', 'the configuration')
    .option(
      '--key-file <file>',
      'the master key, outside the data directory (default: the systemd credential sluice.key, or sluice.key beside the configuration, made when missing; or set SLUICE_KEY)',
    )
    .option('--key-command <command>', 'a command that prints the master key')
    .action(async (flags: StartFlags) => {
      // Heard from the beginning: whoever sees that we are ready may stop us at once.
      const stopped = stopSignal()
      // Loaded here, because every other command starts faster without it.
      const { startGateway } = await import('../main.ts')
      const key = await keyOf(flags)
      const gateway = await startGateway({
        dataDirectory: flags.data,
        configFile: flags.config,
        masterKey: {
          environment: process.env,
          ...key,
          demo: false,
          warn: (message) => process.stderr.write(`warning: ${message}\n`),
        },
        report: reportFault,
      })
      const { endpoints } = gateway
      if (flags.json === true) {
        process.stdout.write(`${JSON.stringify({ ready: true, pid: process.pid, endpoints })}\n`)
      } else {
        const lines = Object.entries(endpoints).map(
          ([name, at]) => `  ${name.padEnd(10)} ${at.address}:${at.port}`,
        )
        process.stdout.write(`Sluice is running (process ${process.pid}).\n${lines.join('\n')}\n`)
      }
      await stopped
      await gateway.stop()
    })
}

/**
 * The key file or command that was named; the systemd credential `sluice.key` (LoadCredential=, LoadCredentialEncrypted=);
 * or `sluice.key` beside the configuration, where `sluice init` puts it. Made there at the first start; where that would
 * be inside the data directory, beside that, because a copy of the data alone must be worth nothing.
 */
async function keyOf(
  flags: StartFlags,
): Promise<{ readonly keyFile?: string; readonly keyCommand?: string }> {
  const { keyFile: named, keyCommand } = flags
  if (named !== undefined || keyCommand !== undefined) {
    return {
      ...(named === undefined ? {} : { keyFile: named }),
      ...(keyCommand === undefined ? {} : { keyCommand }),
    }
  }
  if (process.env.SLUICE_KEY !== undefined) return {}
  const credential = credentialFile()
  if (credential !== undefined) return { keyFile: credential }
  const data = resolve(flags.data)
  const wanted = resolve(dirname(flags.config), 'sluice.key')
  const keyFile = wanted.startsWith(`${data}${sep}`) ? `${data}.key` : wanted
  if (!existsSync(keyFile)) {
    const { createMasterKeyFile } = await import('../main.ts')
    await createMasterKeyFile(keyFile, randomBytes)
    process.stderr.write(
      `Made a master key: ${keyFile}. Keep it: without it the sealed secrets and the recording are lost.\n`,
    )
  }
  return { keyFile }
}

/** The master key as systemd hands it to a service: see systemd.exec(5), `LoadCredential=`. */
function credentialFile(): string | undefined {
  const directory = process.env.CREDENTIALS_DIRECTORY
  if (directory === undefined) return undefined
  const file = join(directory, 'sluice.key')
  return existsSync(file) ? file : undefined
}

/** Resolves at SIGTERM or SIGINT. npm and the terminal may both deliver one: those that follow are taken quietly. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.on('SIGTERM', () => resolve())
    process.on('SIGINT', () => resolve())
  })
}

/** One line per fault. Messages of our errors hold no secret and no value; causes are named by their code only. */
export function reportFault(error: unknown): void {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : 'a fault without a description'
  const cause = error instanceof Error && error.cause instanceof Error ? ` (${kindOf(error.cause)})` : ''
  process.stderr.write(`${new Date().toISOString()} ${message}${cause}\n`)
}

/** `ECONNREFUSED`, or the class of an error without a code: the message of somebody else's error may quote anything. */
function kindOf(error: Error): string {
  const code: unknown = Reflect.get(error, 'code')
  return typeof code === 'string' ? code : error.name
}
