import { z } from 'zod'
import { identityKey } from '../../core/index.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route } from '../route.ts'

const issuers = z.object({
  issuers: z.array(
    z.object({
      url: z.string(),
      /** What `aud` of a token must hold. */
      audience: z.string(),
      /** Absent: people do not log in there with `sluice login`. */
      login: z
        .object({
          client: z.string(),
          scopes: z.array(z.string()),
          audienceAs: z.enum(['resource', 'audience', 'none']),
        })
        .optional(),
    }),
  ),
})

/** What a program needs to come as somebody: where tokens are had, and who a token stands for. */
export function oneselfRoutes(parts: ApiParts): readonly AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/login/issuers',
      summary: 'The issuers whose access tokens are taken, and how people log in there.',
      access: 'public',
      params: none,
      query: none,
      body: none,
      answer: issuers,
      handle: () => ({
        issuers: parts.config().issuers.map(({ url, audience, login }) => ({
          url,
          audience,
          ...(login === undefined ? {} : { login: { ...login, scopes: [...login.scopes] } }),
        })),
      }),
    }),
    route({
      method: 'GET',
      path: '/v1/whoami',
      summary:
        'Who the shown token stands for: who acts first, for whom it all is last. Nobody, for the operator socket.',
      access: ['operator socket', 'identity'],
      params: none,
      query: none,
      body: none,
      answer: z.object({ chain: z.array(z.string()) }),
      handle: ({ caller }) => ({ chain: (caller.chain ?? []).map(identityKey) }),
    }),
  ]
}
