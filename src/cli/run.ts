import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { GatewayError } from '../core/index.ts'
import { hostOf } from './context.ts'
import type { Minted, MintOptions } from './credentials.ts'
import { dsnOf, giveBack, isToken, mint, mintCommand, urlOf } from './credentials.ts'

/** What would lead a client past the gateway, or to another credential. */
const SHADOWED = ['PGHOSTADDR', 'PGPASSWORD', 'PGSSLMODE', 'PGSSLROOTCERT', 'PGREQUIRESSL'] as const

/** `sluice run CONNECTION --as IDENTITY -- PROGRAM ...`: a program with a credential that no command line shows. */
export function addRunCommand(program: Command): void {
  mintCommand(program, 'run', 'run a program with a short-lived credential in its environment, such as psql')
    .argument('<program...>', 'after --: the program and its arguments')
    .action(async (connection: string, words: readonly string[], options: MintOptions) => {
      const made = await mint(connection, undefined, options)
      const private_ = mkdtempSync(join(tmpdir(), 'sluice-run-'))
      try {
        const environment = isToken(made) ? httpEnvironment(made) : databaseEnvironment(made, private_)
        process.exitCode = await runProgram(words, environment)
      } finally {
        rmSync(private_, { recursive: true, force: true })
        await giveBack(made, options)
      }
    })
}

function httpEnvironment(made: Minted): Record<string, string> {
  return { ...common(made), SLUICE_URL: urlOf(made), SLUICE_TOKEN: made.secret }
}

/**
 * For libpq a service file and a password file (https://www.postgresql.org/docs/current/libpq-pgservice.html), which
 * node-postgres, pgjdbc and others read as well; for the rest the parts in the usual variables.
 */
function databaseEnvironment(made: Minted, directory: string): Record<string, string> {
  const host = hostOf(made.address).replaceAll(/[[\]]/g, '')
  const database = made.database ?? ''
  const service = join(directory, 'service.conf')
  const passwords = join(directory, 'passwords')
  const lines = [
    '[sluice]',
    `host=${host}`,
    `port=${made.port}`,
    `user=${made.id}`,
    ...(database === '' ? [] : [`dbname=${database}`]),
    ...(made.tlsRequired ? ['sslmode=require'] : []),
  ]
  writeFileSync(service, `${lines.join('\n')}\n`, { mode: 0o600 })
  // A backslash goes before what parts the fields: https://www.postgresql.org/docs/current/libpq-pgpass.html
  const field = (text: string): string => text.replaceAll(/[\\:]/g, '\\$&')
  writeFileSync(passwords, `${field(host)}:${made.port}:*:${made.id}:${made.secret}\n`, { mode: 0o600 })
  return {
    ...common(made),
    PGSERVICEFILE: service,
    PGSERVICE: 'sluice',
    PGPASSFILE: passwords,
    PGHOST: host,
    PGPORT: String(made.port),
    PGUSER: made.id,
    ...(database === '' ? {} : { PGDATABASE: database }),
    SLUICE_DSN: dsnOf(made),
  }
}

function common(made: Minted): Record<string, string> {
  return {
    SLUICE_CONNECTION: made.connection,
    SLUICE_CREDENTIAL: made.id,
    SLUICE_EXPIRES_AT: new Date(made.expiresAt).toISOString(),
  }
}

/** Resolves with the program's exit code, or 128 and the number of the signal that ended it, as shells say it. */
async function runProgram(words: readonly string[], added: Record<string, string>): Promise<number> {
  const [name, ...rest] = words
  if (name === undefined) throw new GatewayError('invalid', 'Name a program after --.')
  const environment: Record<string, string | undefined> = { ...process.env }
  for (const variable of SHADOWED) delete environment[variable]
  const child = spawn(name, rest, { stdio: 'inherit', env: { ...environment, ...added } })
  // At a terminal Ctrl-C reaches the child by itself; this process only has to outlive it.
  const terminal = process.stdin.isTTY
  const forward = (signal: NodeJS.Signals): void => {
    if (signal === 'SIGINT' && terminal) return
    child.kill(signal)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const
  for (const signal of signals) process.on(signal, forward)
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on('error', (cause) =>
        reject(
          new GatewayError('not_found', `${name} cannot be run.`, {
            remedy:
              'Is it installed, and in PATH? Without psql, use: sluice query CONNECTION "SQL" --as IDENTITY',
            cause,
          }),
        ),
      )
      child.on('exit', (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
      )
    })
  } finally {
    for (const signal of signals) process.off(signal, forward)
  }
}
