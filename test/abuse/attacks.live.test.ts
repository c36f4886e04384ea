import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Target } from '../differential/raw-client.ts'
import { proving, tally } from '../support/proof.ts'
import { ATTACKS, attacked } from './attack-runner.ts'
import type { World } from './world.ts'
import { marksIn, SECRETS, startWorld, targetOf } from './world.ts'

/** Who tries, over which upstream role: the first two may do everything but see, the last may filter besides. */
const ATTACKERS = [
  ['crm', 'support-agent'],
  ['crm-super', 'builder'],
  ['crm-super', 'analyst'],
] as const

/** Without `npm run prove` the one who is refused least tries alone. */
const attackers = proving ? ATTACKERS : ATTACKERS.slice(-1)

/** The rows and bypasses that attacks try by name; each is a test of its own. */
const NAMED = [...new Set(ATTACKS.flatMap(({ of }) => of ?? []))].toSorted((a, b) => a.localeCompare(b))

describe('P-02 never clear: attacks of our own invention and published ones', () => {
  let world: World
  const leaks = new Map<string, string[]>()

  beforeAll(async () => {
    world = await startWorld()
  }, 120_000)

  afterAll(async () => {
    await world.stop()
  })

  test('there are at least 300 in at least 40 techniques, over every transport', () => {
    expect(ATTACKS.length).toBeGreaterThanOrEqual(300)
    expect(new Set(ATTACKS.map(({ technique }) => technique)).size).toBeGreaterThanOrEqual(40)
    expect(new Set(ATTACKS.map(({ id }) => id)).size).toBe(ATTACKS.length)
    expect(new Set(ATTACKS.map(({ transport }) => transport)).size).toBe(7)
  })

  test('each leaks when it is sent to the server itself', async () => {
    const { host, port } = world.server
    const target: Target = { host, port, user: 'builder', password: SECRETS.superuser, database: 'crm' }
    const harmless: string[] = []
    for (const attack of ATTACKS)
      if (marksIn(await attacked(attack, target)).length === 0) harmless.push(attack.id)
    expect(harmless).toEqual([])
  }, 300_000)

  test.each(attackers)(
    '%s as %s: none gets through',
    async (connection, agent) => {
      const target = targetOf(await world.gateway.dsn(connection, agent))
      const blind = agent === 'analyst' ? targetOf(await world.gateway.dsn(connection, 'builder')) : target
      for (const attack of ATTACKS) {
        // Who may filter by a label may learn by which rows come.
        // ... and is tried as somebody who may not.
        const isAllowed = agent === 'analyst' && attack.predicate === true
        const found = marksIn(
          await attacked(attack, isAllowed ? blind : target).catch((cause: unknown) => {
            throw new Error(`${attack.id}: the conversation broke`, { cause })
          }),
        )
        const key = attack.of ?? ''
        if (found.length > 0)
          leaks.set(key, [
            ...(leaks.get(key) ?? []),
            `${attack.id} ${attack.transport} as ${agent}: ${found.join(', ')}`,
          ])
        tally('attacks', 1)
      }
      expect([...leaks.values()].flat()).toEqual([])
      expect(world.gateway.stderr()).toBe('')
    },
    600_000,
  )

  // What was found above, by the name under which others published it.
  test.each(NAMED)('%s', (name) => {
    expect(leaks.get(name) ?? []).toEqual([])
  })
})
