import { z } from 'zod'
import { GatewayError, identityKey, LIMITS } from '../../core/index.ts'
import type { Login } from '../../identity/index.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route } from '../route.ts'

const name = z.string().min(1).max(LIMITS.identityNameMax)
/** As an authenticator app shows it, perhaps with a space in the middle. */
const digits = z.string().min(6).max(16)
const code = z.string().min(1).max(64)

const loggedIn = z.object({
  person: z.string(),
  /** For `Authorization: Bearer`. Until `freshUntil` it answers approval requests as well. */
  token: z.string(),
  expiresAt: z.int(),
  freshUntil: z.int(),
})

/** People: enrolling a device, and logging in with it. */
export function peopleRoutes(parts: ApiParts): readonly AnyRoute[] {
  /** A short-lived token for somebody who has just logged in. */
  const tokenFor = async (login: Login): Promise<z.output<typeof loggedIn>> => {
    const [person] = login.chain
    if (parts.blocks.isBlocked(person)) {
      throw new GatewayError('denied', `${identityKey(person)} was blocked here.`, {
        remedy: 'An administrator can lift the block.',
      })
    }
    const { token, expiresAt } = await parts.issuer.issue(login.chain, LIMITS.loginTokenMs)
    parts.logins.keep(token.reveal(), login)
    return {
      person: identityKey(person),
      token: token.reveal(),
      expiresAt,
      freshUntil: login.at + LIMITS.loginFreshMs,
    }
  }
  return [
    route({
      method: 'POST',
      path: '/v1/login',
      summary: 'Log a person in with a code of the enrolled device. The token is fresh for five minutes.',
      access: 'public',
      params: none,
      query: none,
      body: z.strictObject({ person: name, code: digits }),
      answer: loggedIn,
      records: ({ body }) => ({ action: 'login.attempt', target: personKey(parts, body.person) }),
      handle: async ({ body, source }) =>
        await tokenFor(await parts.people.login(personKey(parts, body.person), body.code, source)),
    }),
    route({
      method: 'POST',
      path: '/v1/enrolments/begin',
      summary:
        'Show the secret of a new device, for a one-time code. Nothing changes before it is confirmed.',
      access: 'public',
      params: none,
      query: none,
      body: z.strictObject({ code }),
      answer: z.object({ person: z.string(), uri: z.string(), secret: z.string() }),
      records: () => ({ action: 'enrolment.begin' }),
      async handle({ body }) {
        const { person, uri, secret } = await parts.people.begin(body.code)
        return { person, uri: uri.reveal(), secret: secret.reveal() }
      },
    }),
    route({
      method: 'POST',
      path: '/v1/enrolments/confirm',
      summary: 'Enrol the new device with its first code. This is a login as well.',
      access: 'public',
      params: none,
      query: none,
      body: z.strictObject({ code, digits }),
      answer: loggedIn,
      records: () => ({ action: 'enrolment.confirm' }),
      handle: async ({ body }) => await tokenFor(await parts.people.confirm(body.code, body.digits)),
    }),
    route({
      method: 'POST',
      path: '/v1/people/{name}/invitations',
      summary: 'Make a one-time code with which a person enrols a device.',
      access: ['operator socket', 'admin'],
      params: z.object({ name }),
      query: none,
      body: none,
      answer: z.object({ person: z.string(), code: z.string(), expiresAt: z.int() }),
      records: ({ params }) => ({ action: 'person.invite', target: personKey(parts, params.name) }),
      async handle({ params, caller }) {
        const person = personKey(parts, params.name)
        const invited = await parts.people.invite(person, caller.name)
        return { person, code: invited.code.reveal(), expiresAt: invited.expiresAt }
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/people/{name}/device',
      summary: 'Take a person\u2019s device and one-time code away.',
      access: ['operator socket', 'admin'],
      params: z.object({ name }),
      query: none,
      body: none,
      answer: z.object({ person: z.string() }),
      records: ({ params }) => ({ action: 'person.forget', target: personKey(parts, params.name) }),
      async handle({ params }) {
        const person = personKey(parts, params.name)
        await parts.people.forget(person)
        return { person }
      },
    }),
  ]
}

/** `ada` or `person:ada` as the key of a person; who is not known stays as it was written, for one refusal for all. */
function personKey(parts: ApiParts, written: string): string {
  const known = parts.localIdentity(written)
  if (known !== undefined) return identityKey(known)
  return written.startsWith('person:') ? written : `person:${written}`
}
