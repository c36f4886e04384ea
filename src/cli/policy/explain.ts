import { styleText } from 'node:util'
import type { Command } from 'commander'
import { safe } from '../../recording/index.ts'
import type { Common } from '../context.ts'
import { print } from '../context.ts'
import { facts, table } from '../table.ts'
import type { Explained } from './answer.ts'
import { explain } from './answer.ts'

type ExplainFlags = Common & {
  readonly as: string
  readonly for?: string
  readonly on: string
  readonly database?: string
}

/** `sluice policy explain`: what would happen to a statement, and which rules say so. */
export function addExplain(group: Command): void {
  group
    .command('explain')
    .argument('<sql>', 'the statement; it is not run')
    .description('what a statement would come to, and by which rules; nothing is run')
    .requiredOption('--as <identity>', 'who would send it')
    .option('--for <identity>', 'on whose behalf')
    .requiredOption('--on <connection>', 'where it would be sent')
    .option('--database <name>', 'the database (default: the first of the connection)')
    .action(async (text: string, flags: ExplainFlags) => {
      const explained = await explain(flags, {
        connection: flags.on,
        as: flags.as,
        text,
        ...(flags.for === undefined ? {} : { for: flags.for }),
        ...(flags.database === undefined ? {} : { database: flags.database }),
      })
      print(flags, explained, () => explainedText(explained))
    })
}

const HEADS = {
  allow: ['green', 'ALLOWED'],
  hold: ['yellow', 'HELD until a person has approved it'],
  deny: ['red', 'REFUSED'],
} as const

export function explainedText(explained: Explained): string {
  const [colour, head] = HEADS[explained.decision]
  const parts = [
    `${styleText(colour, head)}  ${safe(explained.identity)} on ${safe(explained.connection)}`,
    ...(explained.message === undefined ? [] : [safe(explained.message)]),
    ...(explained.remedy === undefined ? [] : [safe(explained.remedy)]),
    '',
    facts(factsOf(explained)),
    '',
    rulesText(explained),
  ]
  if (explained.outputs.length > 0) {
    const several = explained.classes.length > 1
    parts.push(
      '',
      table(
        [
          ...(several ? [{ title: '#', right: true }] : []),
          { title: 'OUTPUT' },
          { title: 'LABELS' },
          { title: 'SHOWN' },
        ],
        explained.outputs.map((each) => [
          ...(several ? [String(each.statement)] : []),
          each.name === '' ? '(computed)' : each.name,
          each.labels.join(', '),
          shownAs(explained, each),
        ]),
      ),
    )
  }
  return parts.join('\n')
}

function factsOf(explained: Explained): (readonly [string, string])[] {
  const { escape, limit, pause, estimateUnknown } = explained
  const lists: (readonly [string, readonly string[]])[] = [
    ['reads', explained.reads],
    ['writes', explained.writes],
    ['calls', explained.calls],
    ['labels in the result', explained.labels],
    ['labels touched', explained.touches],
    ['labels filtered on', explained.filters],
    ['labels written', explained.stores],
    ['takes out', explained.outward ?? []],
  ]
  const notes = [
    ...(explained.unbounded ? ['reads without a limit'] : []),
    ...(explained.writesEverything ? ['writes every row'] : []),
  ]
  return [
    ['class', explained.class],
    ...lists.filter(([, each]) => each.length > 0).map(([name, each]) => [name, each.join(', ')] as const),
    ...(escape === undefined
      ? []
      : [['cannot be followed', `${escape.labels.join(', ')}: ${escape.reason}`] as const]),
    ...(notes.length === 0 ? [] : [['besides', notes.join(', ')] as const]),
    ...(explained.decision === 'deny' ? [] : [['limit', limitText(limit)] as const]),
    ...(pause === undefined ? [] : [['rest held after', limitText(pause)] as const]),
    ...(estimateUnknown === true ? [['estimate', ESTIMATE_UNKNOWN] as const] : []),
  ]
}

const ESTIMATE_UNKNOWN =
  'a rule asks how many rows there would be; here that counts as unknown, when it runs the planner is asked'

function limitText(limit: Explained['limit']): string {
  if (limit === undefined) return 'none'
  return [
    ...(limit.rows === undefined ? [] : [`${limit.rows} rows`]),
    ...(limit.bytes === undefined ? [] : [`${limit.bytes} bytes`]),
  ].join(', ')
}

function rulesText({ rules, observed }: Explained): string {
  const line = (each: Explained['rules'][0], note = ''): string =>
    `  ${safe(each.file)}:${each.line}  ${safe(each.name)}${note}`
  const lines = [
    ...rules.map((each) => line(each)),
    ...observed.map((each) => line(each, ' (only observes)')),
  ]
  return lines.length === 0 ? 'No rule permits it.' : ['Rules that decided:', ...lines].join('\n')
}

function shownAs({ decision }: Explained, { mask, computed }: Explained['outputs'][0]): string {
  if (decision === 'deny') return 'not at all'
  if (mask === undefined) return 'in clear'
  if (computed) return 'hidden whole: computed from labelled data'
  const { kind, ...options } = mask
  const more = Object.values(options).map(String).join(' ')
  return more === '' ? `masked: ${kind}` : `masked: ${kind} (${more})`
}
