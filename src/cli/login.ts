import type { Command } from 'commander'
import { z } from 'zod'
import type { ApiClient } from '../api/client.ts'
import type { Common } from './context.ts'
import { personClient } from './context.ts'
import { givenOrAsked } from './prompt.ts'

const loggedIn = z.object({
  person: z.string(),
  token: z.string(),
  expiresAt: z.number(),
  freshUntil: z.number(),
})

export type LoggedIn = z.output<typeof loggedIn>

/** Logs a person in at the TLS port. The token is kept nowhere. */
export async function logIn(common: Common, person: string, given: string | undefined): Promise<LoggedIn> {
  const code = await givenOrAsked(given, `Code of ${person}: `, '--code DIGITS')
  const client = await personClient(common)
  try {
    return loggedIn.parse(await client.call('POST', '/v1/login', { person, code }))
  } finally {
    await client.close()
  }
}

/** Whose fresh login a command takes. */
export type LoginFlags = Common & { readonly as?: string; readonly code?: string }

/** The options of a command that takes a fresh login; `who`: what that person does, such as `who answers`. */
export function withLogin(command: Command, who: string): Command {
  return command
    .option('--as <person>', who)
    .option(
      '--code <digits>',
      'the code of the device; asked for when not given, - reads it from standard input',
    )
}

/**
 * Does something at the API with a person's fresh login. SLUICE_LOGIN may hold the token of `sluice login`, so that
 * several answers need one code: a code counts once.
 */
export async function asPerson(flags: LoginFlags, act: (client: ApiClient) => Promise<void>): Promise<void> {
  const client = await freshClient(flags)
  try {
    await act(client)
  } finally {
    await client.close()
  }
}

async function freshClient(flags: LoginFlags): Promise<ApiClient> {
  const token = process.env.SLUICE_LOGIN
  if (token !== undefined && flags.code === undefined) return await personClient(flags, token)
  const name = await givenOrAsked(flags.as, 'Your name: ', '--as PERSON')
  return await personClient(flags, (await logIn(flags, name, flags.code)).token)
}
