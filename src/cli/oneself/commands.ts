import { styleText } from 'node:util'
import type { Command } from 'commander'
import { GatewayError, isGatewayError } from '../../core/index.ts'
import { safeText } from '../../recording/index.ts'
import type { Common } from '../context.ts'
import { print } from '../context.ts'
import { logIn } from '../login.ts'
import type { Shown } from './issuer.ts'
import { authorizeDevice, revoke } from './issuer.ts'
import type { Login } from './kept.ts'
import { alone, loginFile, readLogin, removeLogin, writeLogin } from './kept.ts'
import type { KnownIssuers } from './oneself.ts'
import { gatewayOf, knownIssuers, namedGateway, whoIs } from './oneself.ts'

type LoginFlags = Common & {
  readonly code?: string
  readonly gateway?: string
  readonly authority?: string
  readonly issuer?: string
}

/** `sluice login` and `sluice logout`: coming as oneself, from whatever machine. */
export function addLoginCommands(program: Command): void {
  program
    .command('login')
    .argument('[name]', 'a person of the configuration: prints a token of a fresh login, and keeps none')
    .description(
      'log in with a browser at the issuer of the gateway; dsn, token, run and query are then yours',
    )
    .option('--gateway <url>', 'the control API of the gateway, such as https://gateway.example:8443')
    .option('--authority <file>', 'PEM of the authority of its certificate, when it is no public one')
    .option('--issuer <url>', 'at which of its issuers, when people log in at several')
    .option(
      '--code <digits>',
      'with a name: the code of the device; asked for when not given, - reads it from standard input',
    )
    .action(async (name: string | undefined, flags: LoginFlags) => {
      if (name === undefined) return await logInAtIssuer(flags)
      const answer = await logIn(flags, name, flags.code)
      print(flags, answer, () => answer.token)
    })
  program.command('logout').description('end the login at its issuer, and forget it here').action(logOut)
}

async function logInAtIssuer(flags: LoginFlags): Promise<void> {
  const gateway =
    flags.gateway === undefined
      ? await gatewayOf(flags, undefined)
      : namedGateway(flags.gateway, flags.authority)
  const issuer = issuerOf(await knownIssuers(gateway), flags.issuer)
  const tokens = await authorizeDevice(issuer, (shown) => process.stderr.write(whatToDo(shown)))
  // Asked before it is kept: a login that the gateway does not take is of no use.
  const chain = await whoIs({ gateway, token: tokens.accessToken })
  await alone(async () => {
    writeLogin({ gateway, issuer, ...tokens })
    return await Promise.resolve()
  })
  const renewable = tokens.refreshToken !== undefined
  print(flags, { chain, gateway: gateway.url, expiresAt: tokens.expiresAt, renewable }, () =>
    [
      `You are ${chain.join(' for ')} at ${gateway.url}.`,
      renewable
        ? `The login is kept in ${loginFile()} and renewed; end it with: sluice logout`
        : `The login is kept in ${loginFile()} until ${new Date(tokens.expiresAt).toISOString()}: the issuer lets nobody renew it.`,
    ].join('\n'),
  )
}

function issuerOf(known: KnownIssuers, wanted: string | undefined): Login['issuer'] {
  const able = known.flatMap(({ url, audience, login }) =>
    login === undefined ? [] : [{ url, audience, ...login }],
  )
  const found = able.filter(({ url }) => wanted === undefined || url === wanted)
  const [only, ...others] = found
  if (only !== undefined && others.length === 0) return only
  if (only === undefined) {
    throw new GatewayError('unsupported', 'Nobody logs in like this at this gateway.', {
      remedy:
        able.length === 0
          ? 'An administrator gives an issuer of the configuration a client: login: { client: ... }'
          : `Its issuers are: ${able.map(({ url }) => url).join(', ')}`,
    })
  }
  throw new GatewayError('invalid', 'People log in at several issuers here.', {
    remedy: `Name one with --issuer: ${able.map(({ url }) => url).join(', ')}`,
  })
}

/** On stderr: a program reads the answer at the end. */
function whatToDo({ uri, code, complete }: Shown): string {
  const lines = [
    `Open ${styleText('bold', safeText(uri), { stream: process.stderr })} in a browser and type ${styleText('bold', safeText(code), { stream: process.stderr })}`,
    ...(complete === undefined ? [] : [`or open ${safeText(complete)} and compare the code.`]),
    'Confirm it only if you have started this yourself.',
  ]
  return `${lines.join('\n')}\n`
}

async function logOut(common: Common): Promise<void> {
  const done = await alone(async () => {
    const login = readLogin()
    if (login === undefined) return { wasIn: false, ended: false }
    // Here first: whatever the issuer says, nothing more is done with it from here.
    removeLogin()
    try {
      return { wasIn: true, ended: await revoke(login.issuer, login.refreshToken ?? login.accessToken) }
    } catch (error) {
      if (!isGatewayError(error)) throw error
      process.stderr.write(`The issuer could not be told: ${error.message}\n`)
      return { wasIn: true, ended: false }
    }
  })
  print(common, { loggedOut: done.wasIn, endedAtIssuer: done.ended }, () =>
    !done.wasIn
      ? 'Nobody was logged in.'
      : done.ended
        ? 'You are logged out.'
        : 'The login is forgotten here. At the issuer it ends by itself.',
  )
}
