/** Policies in a few words for tests: rules, a company of three, two connections, and one question. */
import type {
  ConnectionName,
  Decision,
  Facts,
  Identity,
  IdentityChain,
  LabelName,
  MaskingRule,
  PolicyConnection,
  PolicySource,
  Rule,
  SourceText,
} from '../core/index.ts'
import { brand } from '../core/index.ts'
import type { Fault, Policy } from '../policy/index.ts'
import { compilePolicy } from '../policy/index.ts'

export const label = (name: string) => brand<LabelName>(name)
export const EMAIL = label('pii.email')
export const NAME = label('pii.name')
export const CRM = brand<ConnectionName>('crm')
export const API = brand<ConnectionName>('api')
export const LIMIT = { rowsMax: 100, bytesMax: 1000 }
export const LABELS = new Map<LabelName, MaskingRule>([
  [EMAIL, { kind: 'partial', of: 'email' }],
  [NAME, { kind: 'null' }],
])
const CONNECTIONS: PolicyConnection[] = [
  { name: CRM, protocol: 'postgres', limit: LIMIT, attributes: {} },
  { name: API, protocol: 'http', limit: LIMIT, attributes: { method: 'string', size: 'long?' } },
]

export const ADA: Identity = { kind: 'person', name: 'ada', issuer: 'local', groups: ['engineers'] }
export const AGENT: Identity = { kind: 'agent', name: 'helper', issuer: 'local', groups: ['helpers'] }
export const OTHER: Identity = { kind: 'service', name: 'cron', issuer: 'https://id.example.com', groups: [] }

let line = 0
const at = (text: string): SourceText => ({ file: 'sluice.yaml', text, starts: [{ line: 7, column: 11 }] })

export type Short = Partial<Omit<Rule, 'what' | 'when' | 'ref' | 'on'>> &
  Partial<Rule['what']> & { name?: string; when?: string; on?: readonly ConnectionName[] }

function rule(short: Short): Rule {
  line += 1
  return {
    ref: { name: short.name ?? `rule ${line}`, file: 'sluice.yaml', line },
    effect: short.effect ?? 'permit',
    who: short.who ?? 'everyone',
    on: short.on ?? [CRM],
    what: {
      run: short.run ?? [],
      unreviewed: short.unreviewed ?? [],
      see: short.see ?? [],
      filter: short.filter ?? [],
      store: short.store ?? [],
      unlimited: short.unlimited ?? false,
    },
    ...(short.limit === undefined ? {} : { limit: short.limit }),
    ...(short.when === undefined ? {} : { when: at(short.when) }),
    agents: short.agents ?? false,
    mode: short.mode ?? 'enforce',
  }
}

export const permit = (short: Short) => rule({ ...short, effect: 'permit' })
export const forbid = (short: Short) => rule({ ...short, effect: 'forbid' })
export const observed = (short: Short) => rule({ ...short, mode: 'observe' })

export function source(rules: readonly Rule[], cedar?: string): PolicySource {
  return {
    version: 'cfg_1',
    rules,
    ...(cedar === undefined ? {} : { cedar: at(cedar) }),
    connections: CONNECTIONS,
    labels: LABELS,
  }
}

export const faults: Fault[] = []
export const failures: unknown[] = []

export function policyOf(rules: readonly Rule[], cedar?: string): Policy {
  faults.length = 0
  failures.length = 0
  const result = compilePolicy(source(rules, cedar), {
    onFault: (fault) => faults.push(fault),
    onFailure: (error) => failures.push(error),
  })
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result.policy
}

function factsOf(short: Partial<Facts> = {}): Facts {
  const own = short.class ?? 'read'
  return {
    class: own,
    statements: [{ class: own }],
    reads: ['public.customers'],
    writes: [],
    calls: [],
    labels: [],
    touches: [],
    filters: [],
    stores: [],
    unbounded: false,
    writesEverything: false,
    redefines: false,
    attributes: {},
    ...short,
  }
}

export const NOON = Date.UTC(2026, 0, 5, 12, 30)

export function ask(
  policy: Policy,
  facts: Partial<Facts> = {},
  chain: IdentityChain = [ADA],
  connection = CRM,
  now = NOON,
  access?: readonly string[],
): Decision {
  const granted = access === undefined ? {} : { access }
  return policy.decide({ chain, connection, facts: factsOf(facts), now, ...granted })
}

export const names = (decision: Decision) => decision.rules.map((ref) => ref.name)
export const masksOf = (decision: Decision) =>
  decision.kind === 'deny' ? undefined : [...decision.masks.keys()]

export const RUN = { run: ['read'], unreviewed: ['read'] } as const satisfies Short
