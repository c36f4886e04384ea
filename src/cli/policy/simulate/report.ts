import { styleText } from 'node:util'
import type { Simulated } from '../../../composition/simulation.ts'
import { safe } from '../../../recording/index.ts'
import type { Group, Place } from '../../../simulation/groups.ts'
import { WHY } from '../../../simulation/judging.ts'
import type { Unjudged } from '../../../simulation/simulate.ts'

/** Groups, and places in each, that people are shown; `--json` has more. */
const GROUPS_SHOWN = 50
const PLACES_SHOWN = 3
const NAMES_SHOWN = 5

/** The simulation as JSON. `docs/policies.md` has its fields. */
export function simulationAnswer({ draft, result }: Simulated): object {
  const { groups, unjudged, ...counts } = result
  return {
    draft,
    ...counts,
    groups: groups.map(({ places, ...group }) => ({ ...group, commands: places.map(placeAnswer) })),
    unjudged: unjudged.map(({ why, count, places }) => ({
      why,
      because: WHY[why],
      count,
      commands: places.map(placeAnswer),
    })),
  }
}

export function simulationText(file: string, { draft, result }: Simulated): string {
  const { sessions, commands, unchanged, changed, groups, unjudged, ungrouped } = result
  const shown = groups.slice(0, GROUPS_SHOWN)
  const left = groups.length - shown.length
  const unknown = commands - unchanged - changed
  const colour = changed > 0 || commands === 0 ? 'yellow' : 'green'
  const head = headline(commands, changed)
  return [
    `${styleText(colour, head)}${unknown === 0 ? '' : `; ${unknown} cannot be judged anew`}`,
    `draft     ${safe(file)}, configuration ${draft.configuration}, policy ${draft.policy}`,
    `read      ${counted(commands, 'command')} of ${counted(sessions, 'session')}; ${unchanged} decided the same`,
    ...shown.flatMap((each) => ['', ...groupLines(each)]),
    ...(left === 0 ? [] : ['', `and ${counted(left, 'more group')}; --json has them`]),
    ...(ungrouped === 0 ? [] : [`and ${counted(ungrouped, 'change')} in too many groups to tell`]),
    ...unjudged.flatMap((each) => ['', ...unjudgedLines(each)]),
  ].join('\n')
}

function headline(commands: number, changed: number): string {
  if (commands === 0) return 'no command of this time is in the recording: nothing is said of the draft'
  return changed === 0 ? 'no decision would change' : `${decisions(changed)} would change`
}

function groupLines({ connection, change, shape, before, after, count, places }: Group): string[] {
  const { what, added, removed, altered, limits } = change
  return [
    `${styleText('bold', `${count} x`)}  ${safe(connection)}: ${what}`,
    `  ${safe(shape)}`,
    ...named('masked', added),
    ...named('in clear', removed),
    ...named('otherwise', altered),
    ...(limits === undefined ? [] : [`  limit     ${limits.before} -> ${limits.after}`]),
    `  before    ${side(before)}`,
    `  after     ${side(after)}`,
    `  such as   ${placesText(places, count)}`,
  ]
}

function side({ rules, reason }: Group['before']): string {
  if (rules.length > 0) return safe(rules.join(', '))
  return reason === undefined ? 'no rule' : `no rule permits it: ${safe(reason)}`
}

function named(title: string, names: readonly string[]): string[] {
  if (names.length === 0) return []
  const more = names.length > NAMES_SHOWN ? `, and ${names.length - NAMES_SHOWN} more` : ''
  return [`  ${title.padEnd(9)} ${safe(names.slice(0, NAMES_SHOWN).join(', '))}${more}`]
}

function unjudgedLines({ why, count, places }: Unjudged): string[] {
  return [
    `${styleText('bold', `${count} x`)}  cannot be judged anew: ${WHY[why]}`,
    `  such as   ${placesText(places, count)}`,
  ]
}

function placesText(places: readonly Place[], count: number): string {
  const shown = places.slice(0, PLACES_SHOWN).map(({ session, n }) => `${session}/${n}`)
  return `${shown.join(' ')}${count > shown.length ? ' ...' : ''}`
}

function placeAnswer({ session, n, time }: Place): object {
  return { session, n, time }
}

function decisions(count: number): string {
  return counted(count, 'decision')
}

function counted(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`
}
