/** An application on each framework does the same on a connection with labels as without, masked columns apart. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { World } from '../abuse/world.ts'
import { marksIn, SECRETS, startWorld } from '../abuse/world.ts'
import { tally } from '../support/proof.ts'
import { APPS } from './apps.ts'

/** An application writes what it protects, and sees it masked. */
const RULE = `  - name: the application works and migrates, and sees nothing
    who: { identities: ["service:app"] }
    on: [crm-super]
    permit: { run: all, unreviewed: all, unlimited: true, store: all }
`

/** Refusals we chose, by application and step. */
const CHOSEN: Readonly<Record<string, RegExp>> = {
  // Groups by each column of customers, protected ones among them: for those that needs a permit to filter.
  'Django grouped_by_rows': /Use data labelled pii\.email only as a plain output/,
}

/** Both runs begin with the same next numbers. */
const RESET = ['customers', 'invoices'].map(
  (table) => `SELECT setval(pg_get_serial_sequence('${table}', 'id'), (SELECT max(id) FROM ${table}))`,
)

describe('ordinary applications on a connection with labels', () => {
  let world: World

  beforeAll(async () => {
    world = await startWorld({
      edit: (text) =>
        text.replace('  local:\n', (head) => `${head}    - { name: app, kind: service }\n`).concat(RULE),
    })
  }, 120_000)

  afterAll(async () => {
    await world.stop()
  })

  test.each(Object.keys(APPS))('%s', async (name) => {
    const app = APPS[name]
    if (app === undefined) throw new Error(name)
    const straight = world.server.dsn({ database: 'crm', user: 'builder', password: SECRETS.superuser })
    const expected = await app(straight)
    expect(Object.values(expected).filter((each) => JSON.stringify(each).includes('"thrown"'))).toEqual([])
    for (const sql of RESET) await world.server.sql(sql, [], 'crm')
    const seen = await app(await world.gateway.dsn('crm-super', 'app'))
    for (const sql of RESET) await world.server.sql(sql, [], 'crm')
    expect(marksIn(Buffer.from(JSON.stringify(seen)))).toEqual([])
    let masked = 0
    const apart = (value: unknown, other: unknown): unknown => {
      if (typeof value === 'string' && marksIn(Buffer.from(value)).length > 0) {
        masked++
        return other === null || typeof other === 'string' ? other : 'masked, and of another type'
      }
      if (typeof value !== 'object' || value === null) return value
      const others = Object(other)
      if (Array.isArray(value)) return value.map((each, i) => apart(each, others[i]))
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, apart(each, others[key])]))
    }
    for (const [step, outcome] of Object.entries(expected)) {
      const chosen = CHOSEN[`${name} ${step}`]
      if (chosen === undefined) expect.soft(seen[step], step).toEqual(apart(outcome, seen[step]))
      else expect.soft(JSON.stringify(seen[step]), step).toMatch(chosen)
    }
    // What only looks at definitions has nothing masked.
    if (name !== 'drizzle-kit') expect(masked).toBeGreaterThan(10)
    tally('steps of applications', Object.keys(expected).length)
    expect(world.gateway.stderr()).toBe('')
  })
})
