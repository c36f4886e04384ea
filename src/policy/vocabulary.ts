import type {
  AttributeType,
  CommandClass,
  Facts,
  Identity,
  IdentityChain,
  LabelName,
  PolicyConnection,
} from '../core/index.ts'
import { identityKey } from '../core/index.ts'
import type { CedarEntity, CedarSchema, CedarValue } from './cedar.ts'
import type { Reads } from './reads.ts'

/** The six questions, which are Cedar's actions; and whether a rule's limit or review holds, which only rules answer. */
export type Action = 'run' | 'unreviewed' | 'see' | 'filter' | 'store' | 'unlimited' | 'limit' | 'review'

export const ACTIONS = [
  'run',
  'unreviewed',
  'see',
  'filter',
  'store',
  'unlimited',
] as const satisfies readonly Action[]

/** What a question is about besides connection and identity. */
export type Subject =
  | { readonly action: 'run' | 'unreviewed' | 'review'; readonly class: CommandClass }
  | { readonly action: 'see' | 'filter' | 'store'; readonly label: LabelName }
  | { readonly action: 'unlimited' | 'limit' }

const text = { type: 'String' } as const
const long = { type: 'Long' } as const
const yesNo = { type: 'Boolean' } as const
const texts = { type: 'Set', element: text } as const

/** What a `when` may read of every command. docs/policies.md explains each; a test holds the two together. */
export const FACTS = {
  class: text,
  classes: texts,
  statements: long,
  reads: texts,
  writes: texts,
  calls: texts,
  labels: texts,
  touches: texts,
  filters: texts,
  stores: texts,
  unbounded: yesNo,
  writesEverything: yesNo,
  redefines: yesNo,
  estimatedRows: long,
  now: long,
  hour: long,
  weekday: long,
} as const

/** What a condition reads while nobody knows: beyond every number that a rule could name. */
export const UNKNOWN_ESTIMATE = Number.MAX_SAFE_INTEGER

/** Facts that change while the command stays the same: what reads them is decided again every time. */
export const VOLATILE_FACTS: ReadonlySet<string> = new Set(['now', 'hour', 'weekday'])

const TYPES = { string: text, long, boolean: yesNo, strings: texts } as const

/** `long?` as its type and whether it may be unknown. */
export function attributeType(type: AttributeType): {
  base: 'string' | 'long' | 'boolean' | 'strings'
  optional: boolean
} {
  switch (type) {
    case 'string':
    case 'long':
    case 'boolean':
    case 'strings':
      return { base: type, optional: false }
    case 'string?':
      return { base: 'string', optional: true }
    case 'long?':
      return { base: 'long', optional: true }
    case 'boolean?':
      return { base: 'boolean', optional: true }
  }
}

/** The typed schema for connections of one protocol: the facts of every command and the protocol's own. */
export function schemaFor(attributes: Readonly<Record<string, AttributeType>>): CedarSchema {
  const facts: Record<string, (typeof TYPES)[keyof typeof TYPES] & { required: boolean }> = {}
  for (const [name, declared] of Object.entries(attributes)) {
    if (name === 'label' || Object.hasOwn(FACTS, name))
      throw new Error(`a protocol may not redefine the fact ${name}`)
    const { base, optional } = attributeType(declared)
    facts[name] = { ...TYPES[base], required: !optional }
  }
  const action = (extra: Record<string, { type: 'String' }>) => ({
    appliesTo: {
      principalTypes: ['Identity'],
      resourceTypes: ['Connection'],
      context: { type: 'Record' as const, attributes: { ...facts, ...FACTS, ...extra } },
    },
  })
  return {
    '': {
      entityTypes: {
        Group: {},
        Kind: {},
        Access: {},
        Identity: {
          memberOfTypes: ['Group', 'Kind', 'Access'],
          shape: { type: 'Record', attributes: { name: text, kind: text, issuer: text, actsFor: texts } },
        },
        Connection: { shape: { type: 'Record', attributes: { name: text, protocol: text } } },
      },
      actions: {
        run: action({}),
        unreviewed: action({}),
        unlimited: action({}),
        see: action({ label: text }),
        filter: action({ label: text }),
        store: action({ label: text }),
        limit: action({}),
        review: action({}),
      },
    },
  }
}

/** One identity of a chain as Cedar sees it, and a text that is equal exactly when it would see the same. */
export type Principal = {
  readonly identity: Identity
  readonly id: string
  readonly actsFor: readonly string[]
  readonly access: readonly string[]
  readonly fingerprint: string
}

export function principalsOf(chain: IdentityChain, access: readonly string[]): readonly Principal[] {
  return chain.map((identity, index) => {
    const id = identityKey(identity)
    const actsFor = chain.slice(index + 1).map(identityKey)
    const fingerprint = JSON.stringify([id, identity.groups, actsFor, access])
    return { identity, id, actsFor, access, fingerprint }
  })
}

/** What the engine has to know of identity and connection: only what is read, because handing it over is the cost. */
export function entitiesOf(
  { identity, id, actsFor, access }: Principal,
  connection: PolicyConnection,
  reads: Reads,
): readonly CedarEntity[] {
  const principal: CedarEntity = {
    uid: { type: 'Identity', id },
    attrs: pick(
      { name: identity.name, kind: identity.kind, issuer: identity.issuer, actsFor: [...actsFor] },
      reads.principal,
    ),
    parents: [
      { type: 'Kind', id: identity.kind },
      ...identity.groups.map((group) => ({ type: 'Group', id: group })),
      ...access.map((name) => ({ type: 'Access', id: name })),
    ],
  }
  // A connection has no parents: without attributes its name says all.
  if (reads.resource !== 'all' && reads.resource.size === 0) return [principal]
  const attrs = pick({ name: connection.name, protocol: connection.protocol }, reads.resource)
  return [principal, { uid: { type: 'Connection', id: connection.name }, attrs, parents: [] }]
}

/**
 * The context of a question: only what is read. `class` is the class asked about for `run`, `unreviewed` and `review`,
 * and the strictest of the command for the others.
 */
export function contextOf(
  subject: Subject,
  facts: Facts,
  now: number,
  reads: Reads,
): Record<string, CedarValue> {
  const wanted = reads.context
  if (wanted !== 'all' && wanted.size === 0) return {}
  const time = new Date(now)
  const context: Record<string, CedarValue> = {
    ...attributesOf(facts),
    class: 'class' in subject ? subject.class : facts.class,
    classes: classesOf(facts),
    statements: facts.statements.length,
    reads: [...facts.reads],
    writes: [...facts.writes],
    calls: [...facts.calls],
    labels: [...facts.labels],
    touches: [...facts.touches],
    filters: [...facts.filters],
    stores: [...facts.stores],
    unbounded: facts.unbounded,
    writesEverything: facts.writesEverything,
    redefines: facts.redefines,
    estimatedRows: facts.estimatedRows ?? UNKNOWN_ESTIMATE,
    now: Math.trunc(now),
    hour: time.getUTCHours(),
    weekday: time.getUTCDay() === 0 ? 7 : time.getUTCDay(),
    ...('label' in subject ? { label: subject.label } : {}),
  }
  return pick(context, wanted)
}

/** Every class in the batch, each once; the batch's own when it has no statements. */
export function classesOf(facts: Facts): CommandClass[] {
  return [...new Set([facts.class, ...facts.statements.map((each) => each.class)])]
}

/** The engine wants lists of its own. */
function attributesOf({ attributes }: Facts): Record<string, CedarValue> {
  const values: Record<string, CedarValue> = {}
  for (const [name, value] of Object.entries(attributes))
    values[name] = typeof value === 'object' ? [...value] : value
  return values
}

function pick<V>(values: Record<string, V>, wanted: ReadonlySet<string> | 'all'): Record<string, V> {
  if (wanted === 'all') return values
  const picked: Record<string, V> = {}
  for (const name of wanted) {
    const value = values[name]
    if (value !== undefined) picked[name] = value
  }
  return picked
}
