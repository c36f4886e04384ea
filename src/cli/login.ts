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

/**
 * The API with a person's fresh login. SLUICE_LOGIN may hold the token of `sluice login`, so that several answers need
 * one code: a code counts once.
 */
export async function freshClient(
  common: Common,
  person: string | undefined,
  code: string | undefined,
): Promise<ApiClient> {
  const token = process.env.SLUICE_LOGIN
  if (token !== undefined && code === undefined) return await personClient(common, token)
  const name = await givenOrAsked(person, 'Your name: ', '--as PERSON')
  return await personClient(common, (await logIn(common, name, code)).token)
}
