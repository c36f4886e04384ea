/** Where commands are judged while something is granted for a time. */
import { expect, it } from 'vitest'
import type { Connection } from '../core/index.ts'
import type { Policy } from '../policy/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { AGENT } from '../testing/world.ts'
import { JudgementCache } from './judgements.ts'
import { SessionScope } from './session-scope.ts'

const clock = new FakeClock()
const nothing = { names: [], until: Number.POSITIVE_INFINITY }

function scope() {
  const access = {
    changes: 0,
    asked: 0,
    held: nothing as { names: readonly string[]; until: number },
    of() {
      this.asked++
      return clock.now() < this.held.until ? this.held : nothing
    },
  }
  const gateway = {
    policy: { version: 'v1' } as Policy,
    configuration: 'snapshot',
    judgements: new JudgementCache(),
    access,
    clock,
  }
  const made = new SessionScope(gateway, { chain: [AGENT], connection: { name: 'crm' } as Connection })
  return { access, made }
}

it('is another scope from the grant to its end, also when nobody says that it has ended', () => {
  const { access, made } = scope()
  const before = made.enter('a')
  expect(made.enter('a')).toBe(before)
  access.held = { names: ['repair'], until: clock.now() + 1000 }
  access.changes++
  const during = made.enter('a')
  expect(during).not.toBe(before)
  expect(made.access).toEqual(['repair'])
  expect(during.basis).toMatchObject({ access: ['repair'] })
  clock.advance(999)
  expect(made.enter('a')).toBe(during)
  clock.advance(1)
  expect(made.enter('a')).toBe(before)
  expect(made.access).toEqual([])
  expect(before.basis).not.toHaveProperty('access')
})

it('asks for it once, as long as nobody is granted anything', () => {
  const { access, made } = scope()
  for (let i = 0; i < 10; i++) made.enter(`${i % 2}`)
  expect(access.asked).toBe(1)
})
