/**
 * Whether the attacks are attacks: through a gateway whose analyser follows nothing each of them gets through, or is
 * caught by another layer, which is named: with that one off as well it gets through. No setting reaches any of this: the
 * parts are replaced here, in this process.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startGatewayInside } from '../support/gateway-inside.ts'
import { note, proving, tally } from '../support/proof.ts'
import type { Attack } from './techniques/attack.ts'
import { ATTACKS, attacked } from './attack-runner.ts'
import type { UsedGateway, World } from './world.ts'
import { marksIn, startWorldWith, targetOf } from './world.ts'

/** Which of the layers behind the lineage hold. */
const layers = vi.hoisted(() => ({ description: true, messages: true }))

vi.mock(import('../../src/sql/index.ts'), async (original) => {
  const real = await original()
  return { ...real, createSqlAnalyser: (load) => real.createSqlAnalyser(load, 'all') }
})

vi.mock(import('../../src/protocols/postgres/results/results.ts'), async (original) => {
  const real = await original()
  return {
    ...real,
    hideSurprises: (fields, isSurprise) =>
      layers.description ? real.hideSurprises(fields, isSurprise) : undefined,
  }
})

vi.mock(import('../../src/protocols/postgres/requests/commands.ts'), async (original) => {
  const real = await original()
  return {
    ...real,
    // Nothing is withheld of messages to who sees everything.
    Judge: class extends real.Judge {
      override get seesAll(): boolean {
        return !layers.messages || super.seesAll
      }
    },
  }
})

/** One of each technique, without `npm run prove`. */
const tried = proving
  ? ATTACKS
  : ATTACKS.filter(({ technique }, i) => ATTACKS.findIndex((each) => each.technique === technique) === i)

describe('P-02 never clear: an attack is one, because without lineage it', () => {
  let world: World<UsedGateway>
  let left: readonly Attack[] = tried

  beforeAll(async () => {
    world = await startWorldWith(startGatewayInside)
  }, 120_000)

  afterAll(async () => {
    await world.stop()
  })

  /** How many get through now; the others stay. */
  async function throughNow(name: string): Promise<number> {
    const target = targetOf(await world.gateway.dsn('crm-super', 'analyst'))
    const held: Attack[] = []
    for (const attack of left) {
      const through = marksIn(await attacked(attack, target)).length > 0
      if (through) note(name, attack.id)
      else held.push(attack)
    }
    const count = left.length - held.length
    left = held
    tally(name, count)
    return count
  }

  test('gets through', async () => {
    expect(await throughNow('through without lineage')).toBeGreaterThan(tried.length / 2)
  }, 600_000)

  test("or is caught where the server's own description names a protected column", async () => {
    layers.description = false
    expect(await throughNow('held by the description of the result')).toBeGreaterThan(0)
  }, 600_000)

  test('or is caught where errors, notices and settings are kept back', async () => {
    layers.messages = false
    expect(await throughNow('held by what is withheld of messages')).toBeGreaterThan(0)
  }, 600_000)

  test('and nothing else holds any', () => {
    expect(left.map(({ id }) => id)).toEqual([])
    expect(world.gateway.stderr()).toBe('')
  })
})
