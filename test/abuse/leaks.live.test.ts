import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { RecordedEntry } from '../../src/recording/index.ts'
import type { Target } from '../differential/raw-client.ts'
import { proving, tally } from '../support/proof.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import type { Form } from './attempt-runner.ts'
import { formsOf, run } from './attempt-runner.ts'
import type { Attempt } from './attempts.ts'
import { ATTEMPTS } from './attempts.ts'
import { journalOf, unjudged } from './evidence.ts'
import type { World } from './world.ts'
import { marksIn, SECRETS, startWorld, targetOf } from './world.ts'

/** Who tries, over which upstream role. The last may do everything but see. */
const ATTACKERS = [
  ['crm', 'support-agent'],
  ['crm', 'writer'],
  ['crm-super', 'builder'],
] as const

describe('P-02 never clear: what agents try on the sample database', () => {
  const later = teardown()
  let world: World

  beforeAll(async () => {
    world = await startWorld()
    later(() => world.stop())
  }, 120_000)

  test('every attempt shows a mark when it is sent to the server itself', async () => {
    const { host, port } = world.server
    const target: Target = { host, port, user: 'builder', password: SECRETS.superuser, database: 'crm' }
    const harmless: string[] = []
    for (const attempt of ATTEMPTS) {
      if (attempt.blind === true) continue
      const seen = await Promise.all(formsOf(attempt).map((form) => run(attempt, form, target)))
      if (seen.every((bytes) => marksIn(bytes).length === 0)) harmless.push(nameOf(attempt))
    }
    expect(harmless).toEqual([])
  })

  test.each(ATTACKERS)(
    '%s as %s',
    async (connection, agent) => {
      const dsn = await world.gateway.dsn(connection, agent)
      const target = targetOf(dsn)
      const leaks: string[] = []
      let tried = 0
      for (const attempt of ATTEMPTS) {
        for (const form of formsOf(attempt)) {
          if (!proving && agent !== 'builder' && form === 'extended') continue
          const found = marksIn(await attempted(attempt, form, target))
          if (found.length > 0) leaks.push(`${nameOf(attempt)} ${form}: ${found.join(', ')}`)
          tried++
        }
      }
      tally('attempts', tried)
      expect(leaks).toEqual([])
      expect(world.gateway.stderr()).toBe('')
    },
    600_000,
  )

  test('nothing of it is in any file of the data directory, and nothing ran unjudged', async () => {
    const directory = world.gateway.dataDirectory
    expect(await eventually('every file to be read', () => marksInFiles(directory))).toEqual([])
    // The journal is encrypted: what is in it has to be looked at as it is read.
    const entries = await journalOf(world.gateway)
    expect(entries.filter((each) => marksIn(withoutMarksOfOurOwn(plain(each))).length > 0)).toEqual([])
    const logged = (await world.server.statementsLogged()).filter(({ application }) =>
      application.includes('sluice'),
    )
    expect(logged.length).toBeGreaterThan(100)
    expect(unjudged(logged, entries)).toEqual([])
  })
})

/** Undefined when a file went while it was looked for: sessions are cut into files behind our back. */
async function marksInFiles(directory: string): Promise<string[] | undefined> {
  const found: string[] = []
  for (const each of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!each.isFile()) continue
    const path = join(each.parentPath, each.name)
    const bytes = await readFile(path).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw error
    })
    if (bytes === undefined) return undefined
    const marks = marksIn(withoutMarksOfOurOwn(bytes))
    if (marks.length > 0) found.push(`${path}: ${marks.join(', ')}`)
  }
  return found
}

function plain({ entry }: RecordedEntry): Buffer {
  const body = 'body' in entry && entry.body !== undefined ? entry.body : new Uint8Array()
  return Buffer.concat([Buffer.from(JSON.stringify(entry.head)), body])
}

async function attempted(attempt: Attempt, form: Form, target: Target): Promise<Buffer> {
  try {
    return await run(attempt, form, target)
  } catch (cause) {
    throw new Error(`${nameOf(attempt)} ${form}: the conversation broke`, { cause })
  }
}

/** Some attempts name a mark themselves; the statement of a client is recorded as it came. */
function withoutMarksOfOurOwn(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll(/'qzvmail( seen)?'/g, ''), 'latin1')
}

function nameOf({ technique, id }: Attempt): string {
  return `${technique}/${id}`
}
