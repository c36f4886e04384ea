import { z } from 'zod'
import { GatewayError, identityKey, LIMITS } from '../../core/index.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route } from '../route.ts'

/** `agent:support-agent`; with the issuer in brackets when it is not local. */
const body = z.strictObject({
  identity: z
    .string()
    .min(1)
    .max(LIMITS.identityNameMax + 2100),
})

const answer = z.object({ identity: z.string(), blocked: z.boolean() })

/** Cutting an identity off, whatever token it shows. */
export function identityRoutes(parts: ApiParts): readonly AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/identities/block',
      summary: 'Give an identity nothing more, and end what it holds and its live sessions.',
      access: ['operator socket', 'admin', 'operator'],
      params: none,
      query: none,
      body,
      answer,
      records: (input) => ({ action: 'identity.block', target: keyOf(parts, input.body.identity) }),
      async handle(input) {
        const identity = keyOf(parts, input.body.identity)
        await parts.blocks.block(identity, input.caller.name)
        return { identity, blocked: true }
      },
    }),
    route({
      method: 'POST',
      path: '/v1/identities/unblock',
      summary: 'Lift a block. What was ended stays ended.',
      access: ['operator socket', 'admin'],
      params: none,
      query: none,
      body,
      answer,
      records: (input) => ({ action: 'identity.unblock', target: keyOf(parts, input.body.identity) }),
      async handle(input) {
        const identity = keyOf(parts, input.body.identity)
        await parts.blocks.unblock(identity)
        return { identity, blocked: false }
      },
    }),
  ]
}

function keyOf(parts: ApiParts, written: string): string {
  const known = parts.localIdentity(written)
  if (known !== undefined) return identityKey(known)
  if (/^(person|agent|service):\S/.test(written)) return written
  throw new GatewayError('not_found', `There is no identity ${written}.`, {
    remedy:
      'Write its kind and name, such as agent:support-agent, and its issuer in brackets when it is not local.',
  })
}
