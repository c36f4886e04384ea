import type { Command } from 'commander'
import { z } from 'zod'
import { isGatewayError } from '../core/index.ts'
import type { Common } from './context.ts'
import { call, hostOf, print, queryText, UsageError } from './context.ts'
import { parseDuration } from './durations.ts'
import { listing, relative } from './table.ts'

const minted = z.object({
  id: z.string(),
  secret: z.string(),
  connection: z.string(),
  database: z.string().optional(),
  expiresAt: z.number(),
  address: z.string(),
  port: z.number(),
  tlsRequired: z.boolean(),
})

export type Minted = z.output<typeof minted>

export type MintOptions = Common & {
  /** Absent: for oneself. */
  readonly as?: string
  readonly for?: string
  readonly ttl: string
  readonly database?: string
}

/**
 * With `--as` mints through the operator socket; without it exchanges one's own token at the API. `use`: what it must be
 * for; absent: what the connection takes.
 */
export async function mint(
  connection: string,
  use: 'database' | 'http' | undefined,
  options: MintOptions,
): Promise<Minted> {
  if (options.as === undefined) return await mintForOneself(connection, use, options)
  return await call(options, minted, 'POST', '/v1/operator/credentials', {
    connection,
    as: options.as,
    ...(options.for === undefined ? {} : { for: options.for }),
    ...(use === undefined ? {} : { use }),
    ...(options.database === undefined ? {} : { database: options.database }),
    ttlMs: parseDuration(options.ttl),
  })
}

async function mintForOneself(
  connection: string,
  use: 'database' | 'http' | undefined,
  options: MintOptions,
): Promise<Minted> {
  if (options.for !== undefined) throw new UsageError('--for needs --as: whom it is for, and who acts.')
  const { exchange, oneself } = await import('./oneself/oneself.ts')
  const who = await oneself(options)
  if (who === undefined) {
    throw new UsageError('Say whom it is for, with --as IDENTITY, or log in first: sluice login')
  }
  const ttlMs = parseDuration(options.ttl)
  return await exchange(who, { connection, use, database: options.database, ttlMs })
}

/** Ends a credential that nobody needs any more. That the gateway has gone meanwhile is no fault: it has then ended too. */
export async function giveBack(made: Minted, options: Common & Pick<MintOptions, 'as'>): Promise<void> {
  if (options.as === undefined) {
    const { giveBackOwn, oneself } = await import('./oneself/oneself.ts')
    const who = await oneself(options)
    if (who !== undefined) await giveBackOwn(who, made.id)
    return
  }
  try {
    await call(options, z.unknown(), 'DELETE', `/v1/credentials/${made.id}`)
  } catch (error) {
    if (!isGatewayError(error)) throw error
  }
}

export function dsnOf(made: Minted): string {
  const database = made.database === undefined ? '' : `/${encodeURIComponent(made.database)}`
  const tls = made.tlsRequired ? '?sslmode=require' : ''
  const password = encodeURIComponent(made.secret)
  return `postgresql://${made.id}:${password}@${hostOf(made.address)}:${made.port}${database}${tls}`
}

/** Whether it is a token for HTTP, which says so itself, and not the password of a database. */
export function isToken(made: Minted): boolean {
  return made.secret.startsWith('slu_c_')
}

/** Where an HTTP connection is reached: what goes in front of every path. */
export function urlOf(made: Minted): string {
  return `${made.tlsRequired ? 'https' : 'http'}://${hostOf(made.address)}:${made.port}/c/${made.connection}`
}

const credentials = z.object({
  credentials: z.array(
    z.object({
      id: z.string(),
      use: z.string(),
      chain: z.array(z.string()),
      connection: z.string(),
      database: z.string().optional(),
      createdAt: z.number(),
      expiresAt: z.number(),
      mintedBy: z.string(),
    }),
  ),
})

const rotated = z.object({
  connection: z.string(),
  secret: z.string(),
  oldRefused: z.boolean(),
  resumed: z.boolean(),
})

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
      print(options, { token: made.secret, url: urlOf(made), expiresAt: made.expiresAt }, () => made.secret)
    },
  )
  const group = program.command('credentials').description('the credentials that are live')
  group
    .command('ls')
    .description('list them; their secrets are not known')
    .option('--identity <identity>', 'with this identity in the chain, such as agent:support-agent')
    .option('--connection <name>', 'of one connection')
    .action(async (flags: Common & { readonly identity?: string; readonly connection?: string }) => {
      const path = `/v1/credentials${queryText({ identity: flags.identity, connection: flags.connection })}`
      const answer = await call(flags, credentials, 'GET', path)
      print(flags, answer, () =>
        listing(
          [
            { title: 'CREDENTIAL' },
            { title: 'WHO' },
            { title: 'CONNECTION' },
            { title: 'DATABASE' },
            { title: 'EXPIRES' },
            { title: 'MINTED BY' },
          ],
          answer.credentials.map((each) => [
            each.id,
            each.chain.join(' for '),
            each.connection,
            each.database ?? '',
            relative(each.expiresAt),
            each.mintedBy,
          ]),
          'No credential is live.',
        ),
      )
    })
  group
    .command('revoke')
    .argument('<id>')
    .description('revoke one; its live sessions end')
    .action(async (id: string, common: Common) => {
      const path = `/v1/credentials/${encodeURIComponent(id)}`
      const answer = await call(common, z.object({ id: z.string() }), 'DELETE', path)
      print(common, answer, () => `${answer.id} is revoked.`)
    })
  group
    .command('rotate')
    .argument('<connection>')
    .description('give the upstream of a connection a new password, try it, and seal it')
    .action(async (connection: string, common: Common) => {
      const path = `/v1/connections/${encodeURIComponent(connection)}/rotate`
      const answer = await call(common, rotated, 'POST', path)
      print(common, answer, () =>
        [
          answer.resumed
            ? `A rotation of ${answer.secret} was cut short: it is finished, and the new one is in force.`
            : `The upstream of ${answer.connection} has a new password, sealed as ${answer.secret}. Open sessions live on.`,
          answer.oldRefused
            ? 'The old one is refused there.'
            : 'The old one is taken as well: the server does not ask this role for its password. Look at pg_hba.conf.',
        ].join('\n'),
      )
    })
}

export function mintCommand(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .argument('<connection>')
    .description(description)
    .option(
      '--as <identity>',
      'the identity it is for, such as support-agent; without it, yours: sluice login',
    )
    .option('--for <identity>', 'whom it acts for')
    .option('--ttl <duration>', 'how long it opens new sessions', '15m')
    .option('--database <name>', 'one of the connection\u2019s databases')
}
