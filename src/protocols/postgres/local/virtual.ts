import type { Command, Decision, Facts, LabelName, MaskingRule } from '../../../core/index.ts'
import { COMMAND_CLASSES, describeChain, identityKey } from '../../../core/index.ts'
import type { Session } from '../../../session/index.ts'
import { ownJudgement } from '../../../session/index.ts'
import type { Catalogue } from '../../../sql/index.ts'
import type { MaskedResults } from '../results/masked-notice.ts'

/** What the virtual tables tell of: this session, its identity, and what was done in it. */
export type VirtualSource = {
  readonly session: Session
  readonly masked: MaskedResults
  readonly denials: readonly Denial[]
  /** As it was known last; undefined on a connection without labels. */
  catalogue(): Catalogue | undefined
  /** What would be decided about a command with these facts. */
  decide(facts: Facts): Decision
}

/** A refusal that this session was told. */
export type Denial = {
  readonly at: number
  readonly request: string
  readonly message: string
  readonly remedy: string
  readonly statement: string
}

export type VirtualTable = {
  /** Its rows repeat texts of commands, and values of labelled columns may stand in those. */
  readonly retells?: true
  readonly columns: readonly string[]
  rows(source: VirtualSource): readonly (readonly string[])[]
}

/** Characters of a statement in `tickets`: it says how many there are when there are more. */
const TEXT_SHOWN = 200

/** In words that a person or a model can read; every column is text. */
export const VIRTUAL_TABLES: ReadonlyMap<string, VirtualTable> = new Map<string, VirtualTable>([
  [
    'whoami',
    {
      columns: ['identity', 'kind', 'groups', 'acts_for', 'connection', 'database', 'session', 'credential'],
      rows: ({ session }: VirtualSource) => {
        const { chain, opening, connection, id } = session
        const [actor, second, ...further] = chain
        return [
          [
            identityKey(actor),
            actor.kind,
            actor.groups.join(', '),
            second === undefined ? '' : describeChain([second, ...further]),
            connection.name,
            opening.database,
            id,
            opening.credential,
          ],
        ]
      },
    },
  ],
  ['policy', { columns: ['topic', 'answer', 'says', 'rules'], rows: policyRows }],
  [
    'masked_columns',
    {
      columns: ['schema', 'table', 'column', 'label', 'shown'],
      rows: (source: VirtualSource) => {
        const shown = new Map<LabelName, string>()
        const rows: string[][] = []
        for (const relation of source.catalogue()?.relations.values() ?? []) {
          for (const { name, label, paths = [], generated } of relation.columns) {
            const parts = paths.map((each) => ({ name: `${name}: ${each.path}`, label: each.label }))
            for (const each of label === undefined ? parts : [{ name, label }, ...parts]) {
              const words = shown.get(each.label) ?? shownAs(source, each.label)
              shown.set(each.label, words)
              // What is computed from protected values is never masked in part.
              const isWhole = generated === true && words.startsWith('masked: ')
              rows.push([
                relation.schema,
                relation.name,
                each.name,
                each.label,
                isWhole ? 'hidden whole' : words,
              ])
            }
          }
        }
        return rows
      },
    },
  ],
  [
    'recent_denials',
    {
      retells: true,
      columns: ['time', 'request', 'message', 'remedy', 'statement'],
      rows: ({ denials }: VirtualSource) =>
        denials.map((each) => [
          new Date(each.at).toISOString(),
          each.request,
          each.message,
          each.remedy,
          each.statement,
        ]),
    },
  ],
  [
    'tickets',
    {
      retells: true,
      columns: ['ticket', 'state', 'asked', 'until', 'uses', 'answer', 'statement'],
      rows: ({ session }: VirtualSource) =>
        session.requests.map(({ ticket, state, createdAt, expiresAt, uses, answers, text }) => [
          ticket,
          state,
          new Date(createdAt).toISOString(),
          new Date(expiresAt).toISOString(),
          String(uses),
          answers
            .map(({ verdict, reason }) => (reason === undefined ? verdict : `${verdict}: ${reason}`))
            .join('; '),
          text.length <= TEXT_SHOWN ? text : `${text.slice(0, TEXT_SHOWN)} ... (${text.length} characters)`,
        ]),
    },
  ],
  [
    'last_result',
    {
      columns: ['position', 'column', 'labels', 'shown', 'rows'],
      rows: ({ masked }: VirtualSource) =>
        masked.last.columns.map(({ position, name, labels, mask }) => [
          String(position),
          name,
          labels.join(', '),
          maskText(mask),
          String(masked.last.rows),
        ]),
    },
  ],
])

/** `masked: partial (email)`. */
export function maskText(mask: MaskingRule): string {
  const { kind, ...options } = mask
  // A rule may carry its key, which is nobody's to see.
  const more = Object.values(options)
    .filter((each) => typeof each !== 'object')
    .join(' ')
  return more === '' ? `masked: ${kind}` : `masked: ${kind} (${more})`
}

const NOTHING: Facts = ownJudgement('').facts

const CLASSES = {
  read: 'commands that read',
  write: 'commands that change rows',
  define: 'commands that change definitions',
  administer: 'commands that change roles or settings',
  opaque: 'commands whose effect cannot be seen before they run',
} as const satisfies Record<Command['facts']['class'], string>

function policyRows(source: VirtualSource): string[][] {
  const rows: string[][] = []
  const add = (topic: string, answer: string, says: string, { rules }: Decision): void => {
    rows.push([topic, answer, says, rules.map((each) => each.name).join(', ')])
  }
  for (const each of COMMAND_CLASSES) {
    const decision = source.decide({ ...NOTHING, class: each, statements: [{ class: each }], reads: [] })
    const [answer, says] = {
      allow: ['yes', `You may run ${CLASSES[each]} at once.`],
      hold: ['after approval', `You may send ${CLASSES[each]}; they wait until a person has approved them.`],
      deny: ['no', `Do not send ${CLASSES[each]}: no rule permits them.`],
    }[decision.kind]
    add(each, answer ?? '', says ?? '', decision)
    if (each === 'read' && decision.kind !== 'deny') add('limit', limitText(decision), LIMIT_SAYS, decision)
  }
  for (const label of source.catalogue()?.labels ?? []) {
    const see = source.decide({ ...NOTHING, reads: [], labels: [label] })
    const words = shownAs(source, label)
    add(
      `see ${label}`,
      words === 'in clear' ? 'yes' : 'no',
      `Values labelled ${label} are shown ${words}.`,
      see,
    )
    const filter = source.decide({ ...NOTHING, reads: [], filters: [label] })
    add(
      `filter ${label}`,
      filter.kind === 'deny' ? 'only =' : 'yes',
      filter.kind === 'deny'
        ? `Compare columns labelled ${label} with = or IN and values of your own, or with IS NULL, and count them; nothing else.`
        : `You may filter, join, sort and group by columns labelled ${label}.`,
      filter,
    )
  }
  return rows
}

const LIMIT_SAYS = 'A result is cut off there; ask for less, or for the next part of it.'

function limitText(decision: Exclude<Decision, { kind: 'deny' }>): string {
  const { rowsMax, bytesMax } = decision.limit
  const parts = [
    ...(Number.isFinite(rowsMax) ? [`${rowsMax} rows`] : []),
    ...(Number.isFinite(bytesMax) ? [`${bytesMax} bytes`] : []),
  ]
  return parts.length === 0 ? 'none' : parts.join(', ')
}

function shownAs(source: VirtualSource, label: LabelName): string {
  const decision = source.decide({ ...NOTHING, reads: [], labels: [label] })
  if (decision.kind === 'deny') return 'not at all'
  const mask = decision.masks.get(label)
  return mask === undefined ? 'in clear' : maskText(mask)
}
