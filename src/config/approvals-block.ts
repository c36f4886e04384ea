import { createHash } from 'node:crypto'
import type { ConnectionName, Identity, IdentityKind, Review } from '../core/index.ts'
import { brand } from '../core/index.ts'
import type { AccessBlock, Approving, Holders, HoursBlock, RouteBlock, StepBlock } from './approving.ts'
import type { ChannelBlock } from './channel-block.ts'
import type { References } from './references.ts'
import type { ApprovalsBlock, ReviewBlock } from './schema-approvals.ts'
import { WEEKDAYS } from './schema-approvals.ts'
import { channelOf } from './schema-channels.ts'
import type { WhoBlock } from './schema-who.ts'
import type { Path } from './tree.ts'

/** Who can answer at all, as far as the file says. */
export type Approvers = {
  /** Identities with the role, and groups that have it. */
  readonly role: Holders
  /** People of the built-in issuer. */
  readonly people: readonly { readonly key: string; readonly groups: readonly string[] }[]
  /** Only then all people are known. */
  readonly closed: boolean
}

const DAY_MINUTES = 24 * 60

/** The routes of a file, with all that is wrong with them told to `references`. */
export function approvingOf(
  block: ApprovalsBlock,
  approvers: Approvers,
  connections: readonly ConnectionName[],
  references: References,
): Approving {
  const channels = channelsOf(block, references)
  const routes = new Map<string, RouteBlock>()
  for (const [name, written] of Object.entries(block.routes)) {
    const path = ['approvals', 'routes', name]
    const before = references.problems.length
    const holders = (of: Holders, at: Path): Holders => holdersOf(of, at, references)
    const steps = written.steps.map((step, index) => ({
      ...holders(step, [...path, 'steps', index]),
      anyone: step.anyone ?? false,
      people: step.people,
    }))
    for (const [index, step] of steps.entries()) {
      if (step.anyone || !isNobody(written.steps[index] ?? step)) continue
      references.refuse(
        [...path, 'steps', index],
        'expected "groups" or "identities", got neither',
        'write "anyone: true" for everybody with the role approver',
      )
    }
    const escalation = written.escalation && {
      ...holders(written.escalation, [...path, 'escalation']),
      afterMs: written.escalation.after,
    }
    if (escalation !== undefined && isNobody(escalation)) {
      references.refuse(
        [...path, 'escalation'],
        'expected "groups" or "identities", got neither',
        'write who else may answer then',
      )
    }
    refuseChannels(written, channels, path, references)
    // Who is misspelt is missing as well: once is enough.
    if (references.problems.length === before)
      refuseUnmeetable(steps, escalation, approvers, path, references)
    routes.set(name, {
      name,
      steps,
      escalation,
      hours: hoursOf(written.hours, [...path, 'hours'], references),
      reason: written.reason,
      ownPerson: written.ownPerson,
      channels: written.channels,
      answers: written.answers,
    })
  }
  if (block.default !== undefined) references.route(block.default, ['approvals', 'default'])
  return { channels, routes, default: block.default, access: accessOf(block, connections, references) }
}

function channelsOf(block: ApprovalsBlock, references: References): ReadonlyMap<string, ChannelBlock> {
  const found = new Map<string, ChannelBlock>()
  for (const [name, written] of Object.entries(block.channels)) {
    const path = ['approvals', 'channels', name]
    const people = new Map<string, Identity>()
    const answers = written.kind === 'webhook' || written.kind === 'slack' ? written.answers : undefined
    for (const [user, text] of Object.entries(answers?.people ?? {})) {
      const at = [...path, 'answers', 'people', user]
      const person = references.named(text, at)
      if (person === undefined) continue
      if (isPerson(person.kind)) people.set(user, person)
      else
        references.refuse(
          at,
          `expected a person, got ${article(person.kind)}`,
          'remove it: only people answer',
        )
    }
    found.set(name, channelOf(name, written, people))
  }
  return found
}

function refuseChannels(
  { channels, answers }: ApprovalsBlock['routes'][string],
  known: ReadonlyMap<string, ChannelBlock>,
  path: Path,
  references: References,
): void {
  for (const [index, name] of channels.entries())
    references.name('a channel of approvals', name, known.keys(), [...path, 'channels', index])
  for (const [index, name] of answers.entries()) {
    const at = [...path, 'answers', index]
    const channel = known.get(name)
    if (!channels.includes(name)) {
      references.refuse(at, 'expected one of the channels of the route', 'add it to "channels" as well')
    } else if (channel !== undefined && (!('answers' in channel) || channel.answers === undefined)) {
      references.refuse(
        at,
        'expected a channel that people can answer through',
        'give it "answers", if it is a webhook or Slack, or remove it here',
      )
    }
  }
}

function accessOf(
  block: ApprovalsBlock,
  connections: readonly ConnectionName[],
  references: References,
): ReadonlyMap<string, AccessBlock> {
  const found = new Map<string, AccessBlock>()
  for (const [name, { who, on, route, longest, emergency }] of Object.entries(block.access)) {
    const path = ['approvals', 'access', name]
    if (isNobodyAtAll(who)) {
      references.refuse(
        [...path, 'who'],
        'expected somebody who may ask for it, got nobody',
        'write "who: everyone" for all',
      )
    }
    if (on !== 'all')
      for (const [index, each] of on.entries()) references.connection(each, [...path, 'on', index])
    if (route !== undefined) references.route(route, [...path, 'route'])
    const written = { who, on, route, longest, emergency }
    found.set(name, {
      name,
      who: references.who(who, [...path, 'who']),
      on: on === 'all' ? connections : on.map((each) => brand<ConnectionName>(each)),
      route,
      longestMs: longest,
      emergency,
      digest: createHash('sha256').update(JSON.stringify(written)).digest('hex').slice(0, 16),
    })
  }
  return found
}

/** What a rule says of reviews. */
export function reviewOf({ route, reuse, effect }: ReviewBlock, path: Path, references: References): Review {
  if (route !== undefined) references.route(route, [...path, 'route'])
  const { times, shape, session } = reuse
  return {
    ...(route === undefined ? {} : { route }),
    reuse: {
      ...(times === undefined ? {} : { times }),
      ...(shape === undefined ? {} : { shapeMs: shape }),
      ...(session === undefined ? {} : { session }),
    },
    ...(effect === 'required' ? { effectRequired: true } : {}),
  }
}

function holdersOf(written: Holders, path: Path, references: References): Holders {
  for (const [index, group] of written.groups.entries()) references.group(group, [...path, 'groups', index])
  const identities = written.identities.flatMap((text, index) => {
    const at = [...path, 'identities', index]
    const found = references.identity(text, at)
    if (found === undefined) return []
    if (isPerson(found.kind)) return [found.key]
    references.refuse(at, `expected a person, got ${article(found.kind)}`, 'remove it: only people answer')
    return []
  })
  return { groups: written.groups, identities }
}

/** Whether a `who` matches nobody, whoever comes. */
export function isNobodyAtAll(who: WhoBlock): boolean {
  if (who === 'everyone') return false
  const lists = Object.values(who).filter((list) => list !== undefined)
  return lists.length === 0 || lists.some((list) => list.length === 0)
}

function isPerson(kind: IdentityKind): boolean {
  return kind === 'person'
}

function article(kind: IdentityKind): string {
  return kind === 'agent' ? 'an agent' : `a ${kind}`
}

function isNobody({ groups, identities }: Holders): boolean {
  return groups.length === 0 && identities.length === 0
}

/**
 * A step that needs more people than there are, or than earlier ones leave: whoever has answered in one step counts in no
 * other. Only where all people are in the file; who would answer for the own request is not thought of.
 */
function refuseUnmeetable(
  steps: readonly StepBlock[],
  escalation: Holders | undefined,
  { role, people, closed }: Approvers,
  path: Path,
  references: References,
): void {
  if (!closed) return
  const approvers = people.filter((person) => isAmong(person, role))
  const able = steps.map((step) =>
    approvers.filter(
      (person) =>
        step.anyone || isAmong(person, step) || (escalation !== undefined && isAmong(person, escalation)),
    ),
  )
  for (const [index, step] of steps.entries()) {
    const there = able[index]?.length ?? 0
    if (there >= step.people) continue
    references.refuse(
      [...path, 'steps', index],
      `expected at least ${step.people} ${step.people === 1 ? 'person' : 'people'} with the role approver here, got ${there}`,
      'give the role to more of them, or ask for fewer',
    )
    return
  }
  const wanted = steps.reduce((sum, step) => sum + step.people, 0)
  const together = new Set(able.flat().map((person) => person.key)).size
  if (together < wanted) {
    references.refuse(
      [...path, 'steps'],
      `expected ${wanted} people for all steps together, got ${together}`,
      'nobody counts in two steps: name more people, or ask for fewer',
    )
  }
}

function isAmong(person: Approvers['people'][number], { groups, identities }: Holders): boolean {
  return identities.includes(person.key) || person.groups.some((group) => groups.includes(group))
}

function hoursOf(
  written: ApprovalsBlock['routes'][string]['hours'],
  path: Path,
  references: References,
): HoursBlock | undefined {
  if (written === undefined) return undefined
  const from = minutesOf(written.from)
  const to = minutesOf(written.to) || DAY_MINUTES
  if (from >= to) {
    references.refuse(
      path,
      'expected "from" before "to"',
      'for a night, write two routes, or the hours of the day',
    )
  }
  if (written.days.length === 0)
    references.refuse([...path, 'days'], 'expected a day, got none', 'write [mon]')
  return { days: written.days.map((day) => WEEKDAYS.indexOf(day) + 1), from, to }
}

function minutesOf(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(Number)
  return hours * 60 + minutes
}
