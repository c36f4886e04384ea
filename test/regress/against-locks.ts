/** Scripts of statements run on a scratch server, each statement's facts held against the locks that it takes. */
import type { SqlAnalyser } from '../../src/sql/index.ts'
import { createSqlAnalyser } from '../../src/sql/index.ts'
import type { TestServer } from '../support/postgres.ts'
import type { Totals } from './comparison.ts'
import { Comparison } from './comparison.ts'
import type { ScriptStatement } from './script.ts'
import { ServerSession } from './session.ts'

export type Outcome = Totals & { files: number }
export type Script = { readonly name: string; readonly statements: () => Promise<readonly ScriptStatement[]> }

/**
 * In their order, each in a session of its own. `analyser`: for tests that want to see whether one that tells too little
 * is found out.
 */
export async function compareWithLocks(
  server: TestServer,
  database: string,
  scripts: readonly Script[],
  say: (line: string) => void,
  analyser?: SqlAnalyser,
): Promise<Outcome> {
  const { host, port, user, password } = server
  const target = { host, port, user, password, database }
  const outcome: Outcome = {
    files: 0,
    statements: 0,
    failed: 0,
    compared: 0,
    exact: 0,
    excused: new Map(),
    opaque: 0,
    opaqueOfUsers: 0,
    plain: 0,
    opaqueKinds: new Map(),
    crashes: [],
    missed: [],
  }
  const usersNames = new Set<string>()
  const used = analyser ?? (await createSqlAnalyser())
  try {
    for (const { name, statements } of scripts) {
      outcome.files++
      const missedBefore = outcome.missed.length
      const session = await ServerSession.open(target)
      const comparison = new Comparison(session, used, outcome, name, usersNames)
      try {
        for (const statement of await statements()) {
          if (comparison.ended) break
          await comparison.run(statement)
        }
      } finally {
        session.close()
      }
      const missed = outcome.missed.slice(missedBefore)
      say(`${name}: ${missed.length} missed`)
      for (const each of missed) say(`  ${each}`)
    }
  } finally {
    if (analyser === undefined) await used.close()
  }
  return outcome
}
