/**
 * P-02 never clear, by chance: random statements over random schemas, asked of the server itself and through the
 * gateway. Every protected cell holds a marker; whatever the gateway lets through, no byte of an answer may show one.
 * Whether something is refused or masked is not asked here, only what comes out; and that what has nothing to do with
 * protected values comes as the server sent it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Message } from '../differential/raw-client.ts'
import type { Major } from '../support/postgres.ts'
import { MAJORS } from '../support/postgres.ts'
import { proving, randomFrom, seed, tally, times } from '../support/proof.ts'
import { loadModule, pairsIn, reachable } from './positions.ts'
import type { ProvingWorld, Stage } from './proving-world.ts'
import { BEGIN, PROBERS, ROLLBACK, startProving } from './proving-world.ts'
import type { Statement } from './queries.ts'
import { Queries } from './queries.ts'
import { Decks } from './rare.ts'
import { diceOf } from './schemas.ts'
import type { Transport } from './transports.ts'
import { ask, partsOf, TRANSPORTS, transportFor } from './transports.ts'

const COUNT = times({ small: 2000, full: 50_000 })
const SCHEMAS = Math.max(2, Math.min(40, Math.ceil(COUNT / 400)))
/** On the older server a part of it: the analysis is the same, the ways of the server are not. */
const OLDER_SHARE = 0.15
const NEEDLESS_MAX = 0.02
const REACHED_MIN = 0.95
/** Rare pairs need numbers: a small count is told from one that goes wrong. */
const REACHED_MIN_SMALL = 0.9

const sides = proving ? MAJORS : ([18] as const)
const show = process.env['SLUICE_SHOW'] !== undefined

type Case = { readonly statement: Statement; readonly transport: Transport; readonly variant: number }

type Totals = {
  statements: number
  ran: number
  showed: number
  plain: number
  needless: string[]
  leaks: string[]
  broken: string[]
  readonly pairs: Map<string, number>
  readonly transports: Map<string, number>
  readonly answered: Map<string, number>
}

describe.each(sides)('P-02 never clear: random statements on PostgreSQL %i', (major) => {
  let world: ProvingWorld
  const count = major === 18 ? COUNT : Math.ceil(COUNT * OLDER_SHARE)
  const schemas = major === 18 ? SCHEMAS : Math.max(2, Math.ceil(SCHEMAS * OLDER_SHARE))
  const totals: Totals = {
    statements: 0,
    ran: 0,
    showed: 0,
    plain: 0,
    needless: [],
    leaks: [],
    broken: [],
    pairs: new Map(),
    transports: new Map(),
    answered: new Map(),
  }

  beforeAll(async () => {
    await loadModule()
    world = await startProving(major, seed, schemas)
  }, 900_000)

  afterAll(async () => {
    await world.stop()
  })

  test(
    `no marker in any byte (seed ${seed})`,
    async () => {
      const decks = new Decks()
      for (let s = 0; s < schemas; s++) {
        const stage = await world.stage(s)
        const dice = diceOf(randomFrom(seed + 7919 * (s + 1)))
        const queries = new Queries(dice, stage.schema, decks)
        for (let i = 0; i < Math.ceil(count / schemas); i++) {
          const statement = queries.statement(major)
          await tried(stage, totals, {
            statement,
            transport: transportFor(dice, statement.isQuery),
            variant: dice.below(60),
          })
        }
        for (const line of [stage.direct, ...Object.values(stage.through)]) await line.end()
      }
      tell(totals, major)
      expect(totals.leaks.slice(0, 20)).toEqual([])
      const broken = totals.broken.slice(0, 10)
      expect({ broken, stderr: world.gateway.stderr() }).toEqual({ broken: [], stderr: '' })
    },
    6 * 3600_000,
  )

  test('the statements are such that the server itself shows markers', () => {
    expect(totals.ran / totals.statements).toBeGreaterThan(0.6)
    expect(totals.showed / totals.statements).toBeGreaterThan(0.1)
    expect([...totals.transports.keys()].toSorted()).toEqual([...TRANSPORTS].toSorted())
  })

  test('what touches no label comes as the server sent it', () => {
    expect(totals.plain).toBeGreaterThan(totals.statements / 10)
    expect(totals.needless.length / totals.plain, totals.needless.slice(0, 20).join('\n')).toBeLessThan(
      NEEDLESS_MAX,
    )
  })

  // The older server does not know all of the grammar.
  if (major === 18) {
    test('every kind of node stood in every place', () => {
      const pairs = [...reachable()]
      const missing = pairs.filter((pair) => !totals.pairs.has(pair))
      expect(1 - missing.length / pairs.length, missing.join('\n')).toBeGreaterThanOrEqual(
        COUNT >= 20_000 ? REACHED_MIN : COUNT >= 2000 ? REACHED_MIN_SMALL : 0.7,
      )
    })
  }
})

async function tried(stage: Stage, totals: Totals, one: Case): Promise<void> {
  const { statement } = one
  const straight = await asked(stage, 'direct', one)
  const failed = straight.some(({ type }) => type === 'E' || type === '!')
  totals.statements++
  bump(totals.transports, one.transport)
  if (!failed) {
    totals.ran++
    for (const text of [...statement.steps, statement.sql])
      for (const pair of pairsIn(text) ?? []) bump(totals.pairs, pair)
  }
  if (stage.markers.find(bytesOf(straight)).length > 0) totals.showed++
  for (const prober of proving ? PROBERS : [PROBERS[one.variant % 2] ?? 'blind']) {
    const answer = await asked(stage, prober, one)
    const found = stage.markers.find(bytesOf(answer))
    const text = `${prober} ${one.transport}/${one.variant}: ${[...statement.steps, statement.sql].join('; ')}`
    if (found.length > 0) totals.leaks.push(`${text}\n  showed ${found.slice(0, 3).join(', ')}`)
    const silent = answer.find(({ type }) => type === '!')
    const straightEnded = straight.at(-1)?.type !== 'Z'
    if ((silent !== undefined || answer.at(-1)?.type !== 'Z') && !straightEnded)
      totals.broken.push(`${text}\n  ${silent?.body.toString() ?? 'hung up'} ${errorOf(answer)}`)
    const refused = answer.some(
      ({ type, body }) => type === 'E' && /\0C(?!57014)[5-9I-Z]/.test(`\0${body.toString('latin1')}`),
    )
    bump(
      totals.answered,
      `${statement.touched ? 'touched' : 'plain'} ${prober} ${failed ? 'failed' : refused ? 'refused' : 'answered'}`,
    )
    if (!statement.touched) totals.plain++
    const { steps } = statement
    if (!statement.touched && !isSame(straight, answer, steps.length > 0))
      totals.needless.push(`${text}\n  ${toldOf(straight)} became ${toldOf(answer)}: ${errorOf(answer)}`)
  }
  if (show) process.stderr.write(`${failed ? errorOf(straight) : 'ok'} ${statement.sql}\n`)
}

async function asked(stage: Stage, who: 'direct' | (typeof PROBERS)[number], one: Case): Promise<Message[]> {
  const line = who === 'direct' ? stage.direct : stage.through[who]
  const { statement, transport, variant } = one
  const inTransaction = statement.writes || transport === 'cursor' || transport === 'prepared'
  const parts = [
    ...statement.steps.flatMap((step) => partsOf('simple', step, 0)),
    ...partsOf(transport, statement.sql, variant),
  ]
  return line.with(async (client) => {
    if (!inTransaction) return ask(client, parts)
    // What a transaction prepared stays, whether it is undone or not.
    const tidy = deallocated(transport === 'prepared' || statement.steps.length > 1)
    const seen = await ask(client, [{ bytes: BEGIN, readies: 1 }, ...parts])
    if (seen.at(-1)?.type !== 'Z') return seen
    return [...seen, ...(await ask(client, [{ bytes: ROLLBACK, readies: 1 }, ...tidy]))]
  })
}

function deallocated(isPrepared: boolean) {
  return isPrepared ? partsOf('simple', 'DEALLOCATE ALL', 0) : []
}

function bytesOf(messages: readonly Message[]): Buffer {
  return Buffer.concat(messages.map(({ type, body }) => Buffer.concat([Buffer.from(type, 'latin1'), body])))
}

/**
 * Rows, descriptions and tags are equal; of errors the SQLSTATE, since texts are ours where labels are in reach. Behind
 * an error in a transaction nothing runs any more, whoever says so. `making`: relations made on the way are others
 * each time, and so are their numbers.
 */
function isSame(straight: readonly Message[], answer: readonly Message[], making: boolean): boolean {
  const shown = (messages: readonly Message[]) => {
    const error = messages.findIndex(({ type }) => type === 'E')
    const status = messages
      .slice(error)
      .find(({ type }) => type === 'Z')
      ?.body.toString()
    const counted = error >= 0 && status === 'E' ? messages.slice(0, error + 1) : messages
    return counted
      .filter(({ type }) => 'DCEdT'.includes(type))
      .map(({ type, body }) => {
        if (type === 'E') return type + stateOf(body)
        return type + (type === 'T' && making ? columnsOf(body) : body.toString('latin1'))
      })
  }
  const [a, b] = [shown(straight), shown(answer)]
  return a.length === b.length && a.every((each, i) => each === b[i])
}

/** A RowDescription without the numbers of relations. */
function columnsOf(body: Buffer): string {
  const parts: string[] = []
  for (let at = 2; at < body.length; ) {
    const end = body.indexOf(0, at)
    parts.push(body.toString('latin1', at, end), body.toString('latin1', end + 5, end + 19))
    at = end + 19
  }
  return parts.join()
}

/** Kinds of messages and SQLSTATEs, no values: `T D D C Z`. */
function toldOf(messages: readonly Message[]): string {
  const told = messages.map(({ type, body }) => (type === 'E' ? `E${stateOf(body)}` : type))
  return told.join(' ').replaceAll(/\bD( D)+\b/g, 'D..')
}

function stateOf(body: Buffer): string {
  return /\0C([0-9A-Z]{5})/.exec(body.toString('latin1'))?.[1] ?? ''
}

function errorOf(messages: readonly Message[]): string {
  const error = messages.find(({ type }) => type === 'E')
  if (error === undefined) return 'other rows'
  const text = error.body.toString()
  return `${stateOf(error.body)} ${/\0M([^\0]*)/.exec(text)?.[1] ?? ''} ${/\0D([^\0]*)/.exec(text)?.[1] ?? ''}`
}

/** The refusal without what is only this statement's. */
function reasonOf(needless: string): string {
  return (needless.split('\n  ').at(-1) ?? '')
    .replace(/ Request .*/, '')
    .replaceAll(/\b([a-z]+\d+|parent|child|parts(_\d)?|made)\b/g, '…')
}

function bump(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** What was done, as a table: kinds of nodes down, places across. */
function tell(totals: Totals, major: Major): void {
  const pairs = [...reachable()]
  const hit = pairs.filter((pair) => totals.pairs.has(pair)).length
  tally('statements', totals.statements)
  tally('leaks', totals.leaks.length)
  tally('leaks when asked directly', totals.showed)
  tally('statements that touch no label', totals.plain)
  tally('needless masking or refusal', totals.needless.length)
  tally('sessions that hung up', totals.broken.length)
  if (major === 18) {
    tally('pairs of node and place', pairs.length)
    tally('pairs reached', hit)
  }
  const reasons = new Map<string, number>()
  for (const each of totals.needless) bump(reasons, reasonOf(each))
  const lines = [
    `PostgreSQL ${major}, seed ${seed}: ${totals.statements} statements, ${totals.ran} ran, ${totals.showed} showed a marker directly,`,
    `${totals.leaks.length} through the gateway; ${totals.needless.length} of ${totals.plain} plain ones disturbed; ${hit} of ${pairs.length} pairs.`,
    ...[...totals.answered].toSorted(([a], [b]) => a.localeCompare(b)).map(([key, n]) => `  ${key}: ${n}`),
    ...(totals.needless.length === 0 ? [] : ['Disturbed, and why:']),
    ...[...reasons]
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, show ? 60 : 8)
      .map(([reason, n]) => `  ${n} ${reason}`),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
  if (show) process.stderr.write(totals.needless.map((each) => `NEEDLESS ${each}\n`).join(''))
  if (proving || show) process.stdout.write(`${table(totals.pairs, pairs)}\n`)
}

function table(counts: ReadonlyMap<string, number>, pairs: readonly string[]): string {
  const places = [...new Set(pairs.map((pair) => pair.split(' @ ')[1] ?? ''))]
  const kinds = [...new Set(pairs.map((pair) => pair.split(' @ ')[0] ?? ''))]
  const cell = (kind: string, place: string) => {
    const pair = `${kind} @ ${place}`
    return pairs.includes(pair) ? String(counts.get(pair) ?? 0) : ''
  }
  const head = `| node | ${places.join(' | ')} |\n|${' --- |'.repeat(places.length + 1)}`
  return [
    head,
    ...kinds.map((kind) => `| ${kind} | ${places.map((place) => cell(kind, place)).join(' | ')} |`),
  ].join('\n')
}
