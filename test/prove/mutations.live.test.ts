/**
 * The mutation run: with any one rule of the lineage or of the nodes switched off, the suites fail. What fails is looked
 * for in three places: the statements of lineage.test.ts, whose tests say what each comes to; the attacks of test/abuse,
 * sent to a real server through a gateway without the rule; and random statements, likewise. No setting reaches the rules:
 * the analyser is replaced here, in this process.
 */
import type { Node } from 'libpg-query'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { parse as parseYaml } from 'yaml'
import type { LabelAssignment, LabelName } from '../../src/core/index.ts'
import { brand } from '../../src/core/index.ts'
import { sampleConfiguration } from '../../src/sample/index.ts'
import type { LineageRule } from '../../src/sql/index.ts'
import { LINEAGE_RULES } from '../../src/sql/lineage/lineage-rules.ts'
import type { Parser } from '../../src/sql/parse/parser.ts'
import { createParser } from '../../src/sql/parse/parser.ts'
import { statementOf, Views } from '../../src/sql/lineage/views.ts'
import { HARMLESS } from '../../src/testing/judged-cases.ts'
import { complaints, LINEAGE_CASES } from '../../src/testing/lineage-expectations.ts'
import { mutantsOf } from '../../src/testing/mutants.ts'
import { sampleCatalogue } from '../../src/testing/sample-catalogue.ts'
import { ATTACKS, attacked } from '../abuse/attack-runner.ts'
import type { Attack } from '../abuse/techniques/attack.ts'
import { technique } from '../abuse/techniques/attack.ts'
import { marksIn, startWorldWith, targetOf } from '../abuse/world.ts'
import type { Message } from '../differential/raw-client.ts'
import { loadCatalogue } from '../sql/load.ts'
import { startGatewayInside } from '../support/gateway-inside.ts'
import { note, proving, randomFrom, seed, tally, times } from '../support/proof.ts'
import { teardown } from '../support/teardown.ts'
import type { Stage } from './proving-world.ts'
import { BEGIN, ROLLBACK, startProving } from './proving-world.ts'
import type { Statement } from './queries.ts'
import { Queries } from './queries.ts'
import { loadModule } from './positions.ts'
import { diceOf } from './schemas.ts'
import { ask, partsOf } from './transports.ts'

/** The rules that do not hold in the gateways of this file. */
const switched = vi.hoisted(() => ({ off: new Set<string>() }))

vi.mock(import('../../src/sql/index.ts'), async (original) => {
  const real = await original()
  class Switched extends Set<LineageRule> {
    override has(rule: LineageRule): boolean {
      return switched.off.has(rule)
    }
  }
  return { ...real, createSqlAnalyser: (load) => real.createSqlAnalyser(load, new Switched()) }
})

const RULES = LINEAGE_RULES.filter((rule) => !Object.hasOwn(HARMLESS, rule))

/** Attacks for rules that no attack of the corpus needs. */
const MORE = technique('for one rule', [
  [
    's',
    "SELECT x.v FROM customers c, XMLTABLE('/a' PASSING xmlelement(name a, c.email) COLUMNS v text PATH '.') x",
  ],
  ['s', 'SELECT xmlserialize(content xmlelement(name a, email) AS text) FROM customers'],
  ['s', 'SELECT xmlforest(email AS f) FROM customers'],
  [
    's',
    'WITH RECURSIVE t (a, b, c) AS (SELECT id, plan, plan FROM customers WHERE id = 1 UNION ALL SELECT c.id, t.c, c.email FROM customers c JOIN t ON c.id = t.a + 1) SELECT b FROM t',
  ],
  ['s', "SELECT jsonb_path_query_first(target => to_jsonb(c), path => '$.email') FROM customers c"],
  ['s', 'SELECT email COLLATE "C" FROM customers'],
  ['s', 'SELECT JSON_ARRAY(SELECT email FROM customers)'],
  [
    's',
    'UPDATE customers c SET (company, country) = (SELECT x.email, x.country FROM customers x WHERE x.id = c.id)',
    'SELECT company FROM customers',
  ],
])

/** In `npm test` these are tried alone: attacks that get through without any one of these rules. */
const LIVE = {
  'renamed by alias-1': ['relation'],
  'renamed by alias-5': ['CopyStmt', 'column'],
  'nested wrappers-3': ['query of with', 'subquery as value', 'subquery in from'],
  'nested wrappers-5': ['view'],
  'string functions-1': ['FuncCall'],
  'encodings-1': ['A_Expr', 'TypeCast'],
  'operators that are functions-6': ['whole row'],
  'whole rows-3': ['RowExpr'],
  'SQL/JSON constructors-1': ['JsonObjectConstructor', 'JsonKeyValue'],
  'SQL/JSON constructors-9': ['union all'],
  'conditions as values-1': ['CaseExpr'],
  'arrays-2': ['array of a subquery'],
  'functions in FROM-1': ['function in from'],
  'functions in FROM-8': ['functions'],
  'JSON_TABLE-1': ['json_table'],
  'recursion-5': ['search and cycle'],
  'temporary shadows-2': ['ViewStmt'],
  'copied, then read-1': ['CreateTableAsStmt'],
  'copied, then read-3': ['select into'],
  'copied, then read-5': ['insert'],
  'copied, then read-7': ['update'],
  'RETURNING-2': ['returning'],
  'writing CTE-6': ['merge'],
  'upserts-2': ['on conflict'],
  'anonymous blocks-6': ['DoStmt'],
  'statistics and other catalogues-1': ['known relations'],
  'COPY in its formats-9': ['copy'],
  'for one rule-1': ['xmltable'],
  'for one rule-2': ['XmlSerialize', 'XmlExpr'],
  'for one rule-3': ['ResTarget'],
  'for one rule-4': ['recursion'],
  'for one rule-5': ['NamedArgExpr'],
  'for one rule-6': ['CollateClause'],
  'for one rule-7': ['JsonArrayQueryConstructor'],
  'for one rule-8': ['several columns at once'],
} as const satisfies Readonly<Record<string, readonly LineageRule[]>>

/** Candidates for a leak without a rule that are sent to the server before it is given up. */
const TRIES_MAX = 40
const STATEMENTS = times({ small: 0, full: 800 })
const SCHEMAS = Math.ceil(STATEMENTS / 500)

describe('P-02 never clear: without any one rule the suites fail', () => {
  const later = teardown()
  let parser: Parser
  let views: Views
  const live = new Map<LineageRule, string>()
  const tries = new Map<LineageRule, number>()

  beforeAll(async () => {
    parser = await createParser()
    later(() => parser.close())
    // Followed anew for each rule; read once.
    const known = new Map<string, Node | undefined>()
    views = new Views((definition) => {
      if (!known.has(definition)) known.set(definition, statementOf(parser.parseNow(definition)))
      return known.get(definition)
    })
  })

  test('the tests of lineage.test.ts', async () => {
    const killed = new Map<LineageRule, number>()
    const killers = new Map<LineageRule, string>()
    for (const one of LINEAGE_CASES) {
      const catalogue = sampleCatalogue({}, one.labels)
      const context = { searchPath: ['public'], catalogue, views }
      for (const { rule, facts } of mutantsOf(await parser.parse(one.text), context)) {
        if (complaints(one, facts).length === 0) continue
        bump(killed, rule)
        if (!killers.has(rule)) killers.set(rule, `${one.group} > ${one.text}`)
      }
    }
    tally('rules', RULES.length)
    tally('rules killed by a test of lineage.test.ts', RULES.filter((rule) => killed.has(rule)).length)
    for (const rule of RULES)
      note('killed by', `${rule}: ${killed.get(rule) ?? 0} tests, such as ${killers.get(rule)}`)
    expect(RULES.filter((rule) => !killed.has(rule))).toEqual([])
  })

  test('the attacks of test/abuse: values come out of a real server', async () => {
    const world = await startWorldWith(startGatewayInside)
    later(() => world.stop())
    const client = await world.server.client('crm')
    const catalogue = await loadCatalogue(client, sampleLabels())
    await client.end()
    const analyst = targetOf(await world.gateway.dsn('crm-super', 'analyst'))
    // What tells by which rows come is tried as somebody who may not filter.
    const builder = targetOf(await world.gateway.dsn('crm-super', 'builder'))
    const getsThrough = async (attack: Attack, off: readonly LineageRule[]) => {
      switched.off = new Set(off)
      // Judgements are kept by the text: each of these is another.
      const sql = attack.sql.map((each) => `${each} /* without ${off.join()} */`)
      const bytes = await attacked({ ...attack, sql }, attack.predicate === true ? builder : analyst)
      return marksIn(bytes).length > 0
    }
    const wanted = new Map<string, readonly LineageRule[]>(Object.entries(LIVE))
    for (const attack of [...ATTACKS, ...MORE].filter(({ id }) => proving || wanted.has(id))) {
      const mutants = mutantsOf(await parser.parse(textOf(attack)), {
        searchPath: ['public'],
        catalogue,
        views,
      })
      for (const { rule } of mutants) {
        if (live.has(rule) || bump(tries, rule) > TRIES_MAX) continue
        if (!proving && wanted.get(attack.id)?.includes(rule) !== true) continue
        if (!(await getsThrough(attack, [rule]))) continue
        expect(await getsThrough(attack, []), attack.id).toBe(false)
        live.set(rule, attack.id)
        note('gets through', `${rule}: ${attack.id}`)
      }
    }
    tally('rules without which an attack gets through', live.size)
    const missed = [...wanted].flatMap(([id, rules]) =>
      rules.filter((rule) => !live.has(rule)).map((rule) => `${id} ${rule}`),
    )
    expect(missed).toEqual([])
    expect(world.gateway.stderr()).toBe('')
  }, 3600_000)

  // With full counts only: what random statements say of each rule, and which of them show a marker without it.
  if (proving) {
    test(
      `random statements (seed ${seed})`,
      async () => {
        await loadModule()
        const world = await startProving(18, seed, SCHEMAS, startGatewayInside)
        later(() => world.stop())
        const weaker = new Map<LineageRule, number>()
        const sent = new Map<LineageRule, number>()
        const shown = new Map<LineageRule, string>()
        for (let s = 0; s < SCHEMAS; s++) {
          const stage = await world.stage(s)
          const client = await world.server.client(`s${s}`)
          const labels = [...stage.schema.labels].map(([pattern, label]) => ({
            pattern,
            label: brand<LabelName>(label),
          }))
          const catalogue = await loadCatalogue(client, labels)
          await client.end()
          const queries = new Queries(diceOf(randomFrom(seed + 7919 * (s + 1))), stage.schema)
          for (let i = 0; i < STATEMENTS / SCHEMAS; i++) {
            const statement = queries.statement()
            const parsed = await parser.parse([...statement.steps, statement.sql].join('; '))
            if (parsed.kind !== 'parsed') continue
            tally('random statements', 1)
            for (const { rule } of mutantsOf(parsed, { searchPath: ['public'], catalogue, views })) {
              bump(weaker, rule)
              if (shown.has(rule) || bump(sent, rule) > TRIES_MAX) continue
              if (await shows(stage, statement, rule)) shown.set(rule, statement.sql)
            }
          }
          for (const line of [stage.direct, ...Object.values(stage.through)]) await line.end()
        }
        tally('rules that random statements miss', weaker.size)
        tally('rules without which a random statement shows a marker', shown.size)
        for (const rule of RULES) {
          const live = shown.has(rule) ? ', and one showed a marker' : ''
          note('random statements', `${rule}: ${weaker.get(rule) ?? 0} are protected less without it${live}`)
        }
        expect(shown.size).toBeGreaterThan(10)
      },
      6 * 3600_000,
    )
  }
})

/** Whether a marker comes out of the gateway without this rule, to somebody who may filter; undone afterwards. */
async function shows(stage: Stage, { steps, sql }: Statement, rule: LineageRule): Promise<boolean> {
  switched.off = new Set([rule])
  const tag = ` /* without ${rule} */`
  const seen = await stage.through.filterer.with(async (client) => {
    const parts = [...steps, sql].flatMap((each) => partsOf('simple', each + tag, 0))
    const answer = await ask(client, [{ bytes: BEGIN, readies: 1 }, ...parts])
    if (answer.at(-1)?.type !== 'Z') return answer
    const tidy = [{ bytes: ROLLBACK, readies: 1 }, ...partsOf('simple', 'DEALLOCATE ALL', 0)]
    return [...answer, ...(await ask(client, tidy))]
  })
  return stage.markers.find(bytesOf(seen)).length > 0
}

function bytesOf(messages: readonly Message[]): Buffer {
  return Buffer.concat(messages.map(({ type, body }) => Buffer.concat([Buffer.from(type, 'latin1'), body])))
}

function sampleLabels(): LabelAssignment[] {
  const text = sampleConfiguration({
    ports: { postgres: 0, http: 0, api: 0 },
    database: { port: 0, role: 'x', name: 'crm' },
    apiUrl: 'http://127.0.0.1:1',
  })
  const { labels } = parseYaml(text).connections.crm
  return Object.entries(labels).map(([pattern, label]) => ({ pattern, label: brand(String(label)) }))
}

/** What the transport of an attack makes of its last statement. */
function textOf({ sql, transport }: Attack): string {
  const last = sql.at(-1) ?? ''
  const wrapped = {
    copy: `COPY (${last}) TO STDOUT`,
    cursor: `DECLARE cu CURSOR FOR ${last}; FETCH ALL FROM cu`,
    prepared: `PREPARE made_up AS ${last}; EXECUTE made_up`,
  }
  return [
    ...sql.slice(0, -1),
    Object.hasOwn(wrapped, transport) ? Reflect.get(wrapped, transport) : last,
  ].join('; ')
}

function bump(counts: Map<LineageRule, number>, rule: LineageRule): number {
  const count = (counts.get(rule) ?? 0) + 1
  counts.set(rule, count)
  return count
}
