import { z } from 'zod'
import type { ApprovalInput } from '../../approvals/index.ts'
import { accessInput } from '../../approvals/index.ts'
import type { AccessBlock } from '../../config/index.ts'
import type { Connection, Identity, IdentityChain, RuleWho } from '../../core/index.ts'
import {
  COMMAND_CLASSES,
  describeChain,
  GatewayError,
  identityKey,
  LIMITS,
  strictest,
} from '../../core/index.ts'
import type { Caller } from '../caller.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route } from '../route.ts'
import { approval, shown } from './approvals.ts'
import { chainOf, connectionNamed } from './credentials.ts'

const asked = {
  /** What the configuration calls it. */
  access: z.string().min(1).max(64),
  /** Absent: the only one that it is for. */
  connection: z.string().min(1).max(64).optional(),
  /** For how long. Absent: as long as the configuration lets it. */
  ms: z.int().min(60_000).max(LIMITS.accessMsMax).optional(),
  reason: z.string().trim().min(1).max(LIMITS.answerReasonMax),
}

/** From the operator socket: whom it is for, and whom that acts for, as in minting. */
const whom = {
  as: z.string().min(1).max(LIMITS.identityNameMax).optional(),
  for: z.string().min(1).max(LIMITS.identityNameMax).optional(),
}

/** Access that is granted for a time: asking for it, and taking it in an emergency. */
export function accessRoutes(parts: ApiParts): readonly AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/access',
      summary: 'What access may be asked for, and what of it is open or waits for people.',
      access: ['operator socket', 'identity'],
      params: none,
      query: z.object(whom),
      body: none,
      answer: offered,
      handle: ({ query, caller }) => offeredTo(parts, whose(parts, caller, query)),
    }),
    route({
      method: 'POST',
      path: '/v1/access',
      summary: 'Ask for access for a time. It is granted like a held command, and given to nobody by asking.',
      access: ['operator socket', 'identity'],
      params: none,
      query: none,
      body: z.strictObject({
        ...asked,
        ...whom,
      }),
      answer: approval,
      records: ({ body }) => ({ action: 'access.request', target: body.access }),
      async handle({ body, caller }) {
        const chain = whose(parts, caller, body)
        return shown(await parts.approvals.open(inputFor(parts, body, chain, false)), caller)
      },
    }),
    route({
      method: 'POST',
      path: '/v1/access/emergency',
      summary:
        'Take access in an emergency, as a person with a login of the last five minutes. Everybody is told.',
      access: ['person'],
      params: none,
      query: none,
      body: z.strictObject(asked),
      answer: approval,
      records: ({ body }) => ({ action: 'access.emergency', target: body.access }),
      async handle({ body, caller }) {
        const chain = whose(parts, caller, {})
        const input = inputFor(parts, body, chain, true)
        const { proof } = caller
        return shown(await parts.approvals.breakGlass(input, { proof, reason: body.reason }), caller)
      },
    }),
  ]
}

/** What may be asked for, and what of it is open or waits. */
const offered = z.object({
  access: z.array(
    z.object({
      name: z.string(),
      connections: z.array(z.string()),
      longestMs: z.int(),
      emergency: z.boolean(),
    }),
  ),
  requests: z.array(
    z.object({
      ticket: z.string(),
      name: z.string(),
      connection: z.string(),
      state: z.enum(['pending', 'approved']),
      emergency: z.boolean(),
      /** While pending: when it lapses. Once approved: when it ends. */
      expiresAt: z.int(),
    }),
  ),
})

function offeredTo(parts: ApiParts, chain: IdentityChain): z.output<typeof offered> {
  const whose = describeChain(chain)
  const { access } = parts.config().approvals
  return {
    access: [...access.values()]
      .filter(({ who }) => chain.some((identity) => isAbout(who, identity)))
      .map(({ name, on, longestMs, emergency }) => ({ name, connections: [...on], longestMs, emergency })),
    requests: parts.approvals.list({ states: ['pending', 'approved'] }).flatMap((each) => {
      const { ticket, access: asked, connection, state, expiresAt } = each
      if (asked === undefined || describeChain(each.chain) !== whose) return []
      if (state !== 'pending' && state !== 'approved') return []
      return [{ ticket, name: asked.name, connection, state, emergency: asked.emergency, expiresAt }]
    }),
  }
}

/** Who shows a token asks for itself; who sits at the machine says for whom. */
function whose(
  parts: ApiParts,
  { chain }: Caller,
  { as, for: actsFor }: { readonly as?: string | undefined; readonly for?: string | undefined },
): IdentityChain {
  if (chain === undefined) {
    if (as !== undefined) return chainOf(parts, as, actsFor)
    throw new GatewayError('invalid', 'Say whom it is for.', { remedy: 'Name the identity: --as NAME' })
  }
  if (as === undefined && actsFor === undefined) return chain
  throw new GatewayError('denied', 'Ask for yourself: only the operator socket asks for others.')
}

function inputFor(
  parts: ApiParts,
  body: {
    readonly access: string
    readonly connection?: string | undefined
    readonly ms?: number | undefined
    readonly reason: string
  },
  chain: IdentityChain,
  emergency: boolean,
): ApprovalInput {
  const { approvals, policy } = parts.config()
  const block = approvals.access.get(body.access)
  if (block === undefined || !chain.some((identity) => isAbout(block.who, identity))) {
    throw new GatewayError('not_found', `There is no access ${body.access} that you may ask for.`, {
      remedy: 'The configuration lists it under approvals.access, with who may ask.',
      retry: 'only-if-changed',
    })
  }
  if (emergency && !block.emergency) {
    throw new GatewayError('denied', `${block.name} is not for emergencies.`, {
      remedy: 'Ask for it: sluice approvals request',
      retry: 'only-if-changed',
    })
  }
  if ((body.ms ?? 0) > block.longestMs) {
    throw new GatewayError(
      'invalid',
      `${block.name} is granted for ${block.longestMs / 60_000} minutes at most.`,
    )
  }
  const rules = policy.rules.filter(
    ({ who }) => who !== 'everyone' && who.access?.includes(block.name) === true,
  )
  const classes = COMMAND_CLASSES.filter((each) => rules.some(({ what }) => what.run.includes(each)))
  return accessInput({
    access: { name: block.name, ms: body.ms ?? block.longestMs, emergency },
    chain,
    connection: connectionOf(parts, block, body.connection).name,
    reason: body.reason,
    class: strictest(classes),
    rules: rules.map(({ ref }) => ref),
    review: { ...(block.route === undefined ? {} : { route: block.route }), reuse: {} },
    digest: block.digest,
  })
}

function connectionOf(parts: ApiParts, { name, on }: AccessBlock, wanted: string | undefined): Connection {
  const [only, ...others] = on
  if (wanted === undefined && only !== undefined && others.length === 0) return connectionNamed(parts, only)
  if (wanted !== undefined && on.some((each) => each === wanted)) return connectionNamed(parts, wanted)
  throw new GatewayError(
    'invalid',
    `Name a connection that ${name} is for: ${on.join(', ') || 'there is none'}.`,
  )
}

/** The same reading as that of rules: every list that is given must match, and no list at all is nobody. */
function isAbout(who: RuleWho, identity: Identity): boolean {
  if (who === 'everyone') return true
  const { groups, identities, kinds } = who
  if (groups === undefined && identities === undefined && kinds === undefined) return false
  return (
    (groups?.some((group) => identity.groups.includes(group)) ?? true) &&
    (identities?.includes(identityKey(identity)) ?? true) &&
    (kinds?.includes(identity.kind) ?? true)
  )
}
