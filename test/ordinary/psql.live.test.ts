/** psql's backslash commands, by the psql of each server: the same through a labelled connection as without it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { World } from '../abuse/world.ts'
import { SECRETS, startWorld } from '../abuse/world.ts'
import { tally } from '../support/proof.ts'
import { psql, psql18 } from '../support/psql.ts'
import { BACKSLASH, BACKSLASH_18 } from './backslash.ts'
import { FURNITURE } from './furniture.ts'

const SIDES = [
  [15, psql, BACKSLASH],
  [18, psql18, BACKSLASH_18],
] as const

/** Refusals we chose: what is asked holds the passwords with which the server goes to others. */
const CHOSEN: Readonly<Record<string, RegExp>> = {
  [String.raw`\deu+`]: /without umoptions: it is not for everybody/,
  [String.raw`\dRs+`]: /without subconninfo: it is not for everybody/,
}

const MARK = '--- command '

describe.each(SIDES)("psql's backslash commands on PostgreSQL %i", (major, run, commands) => {
  let world: World

  beforeAll(async () => {
    world = await startWorld({ major })
    await world.server.sql(FURNITURE, [], 'crm')
  }, 120_000)

  afterAll(async () => {
    await world.stop()
  })

  test('say the same', async () => {
    const straight = world.server.dsn({ database: 'crm', user: 'builder', password: SECRETS.superuser })
    const dsn = await world.gateway.dsn('crm-super', 'builder')
    const input = commands
      .map((command, i) => `\\echo ${MARK}${i}\n\\warn ${MARK}${i}\n${command}`)
      .join('\n')
    const env = { PSQL_EDITOR: '/bin/true' }
    const [a, b] = await Promise.all([
      run(straight, `${input}\n`, [], { env }),
      run(dsn, `${input}\n`, [], { env }),
    ])
    expect(a.code).toBe(0)
    const [expected, seen] = [perCommand(a), perCommand(b)]
    expect(expected).toHaveLength(commands.length)
    tally('backslash commands', commands.length)
    for (const [i, command] of commands.entries()) {
      const chosen = CHOSEN[command]
      if (chosen === undefined) expect.soft(seen[i], command).toEqual(expected[i])
      else expect.soft(seen[i]?.error, command).toMatch(chosen)
    }
    expect(world.gateway.stderr()).toBe('')
  })
})

type Said = { readonly out: string; readonly error: string | undefined }

function perCommand({ stdout, stderr }: { stdout: string; stderr: string }): Said[] {
  const parts = (text: string) => text.split(new RegExp(`^${MARK}\\d+\\n`, 'm')).slice(1)
  const errors = parts(stderr)
  // What is watched comes with the time of the client's clock.
  return parts(stdout).map((out, i) => ({
    out: out.replaceAll(/^.* \(every /gm, '(every '),
    error: errors[i],
  }))
}
