import type { Command } from 'commander'
import { z } from 'zod'
import type { Common } from './context.ts'
import { operatorClient, print } from './context.ts'
import { parseDuration } from './durations.ts'

const minted = z.object({
  id: z.string(),
  secret: z.string(),
  connection: z.string(),
  database: z.string().optional(),
  expiresAt: z.number(),
  address: z.string(),
  port: z.number(),
})

export type Minted = z.output<typeof minted>

export type MintOptions = Common & {
  readonly as: string
  readonly for?: string
  readonly ttl: string
  readonly database?: string
}

/** Mints through the operator socket. */
export async function mint(
  connection: string,
  use: 'database' | 'http',
  options: MintOptions,
): Promise<Minted> {
  const client = operatorClient(options)
  try {
    const answer = await client.call('POST', '/v1/operator/credentials', {
      connection,
      as: options.as,
      ...(options.for === undefined ? {} : { for: options.for }),
      use,
      ...(options.database === undefined ? {} : { database: options.database }),
      ttlMs: parseDuration(options.ttl),
    })
    return minted.parse(answer)
  } finally {
    await client.close()
  }
}

export function dsnOf(made: Minted): string {
  const database = made.database === undefined ? '' : `/${encodeURIComponent(made.database)}`
  const host = made.address.includes(':') ? `[${made.address}]` : made.address
  return `postgresql://${made.id}:${encodeURIComponent(made.secret)}@${host}:${made.port}${database}`
}

export function addCredentialCommands(program: Command): void {
  mintCommand(program, 'dsn', 'print a DSN with a short-lived credential, and nothing else').action(
    async (connection: string, options: MintOptions) => {
      const made = await mint(connection, 'database', options)
      print(options, { dsn: dsnOf(made), expiresAt: made.expiresAt }, () => dsnOf(made))
    },
  )
  mintCommand(program, 'token', 'print a short-lived token for an HTTP connection, and nothing else').action(
    async (connection: string, options: MintOptions) => {
      const made = await mint(connection, 'http', options)
      print(options, { token: made.secret, expiresAt: made.expiresAt }, () => made.secret)
    },
  )
}

export function mintCommand(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .argument('<connection>')
    .description(description)
    .requiredOption('--as <identity>', 'the identity it is for, such as support-agent')
    .option('--for <identity>', 'whom it acts for')
    .option('--ttl <duration>', 'how long it opens new sessions', '15m')
    .option('--database <name>', 'one of the connection\u2019s databases')
}
