/**
 * Whether the recording is whole: the statements that the server's own log tells of, and the commands in the
 * recording, counted after a load that used every protocol. A benchmark of a gateway that records less than it
 * forwards would be a benchmark of something else.
 */
import { readJournal } from '../../src/recording/index.ts'
import type { TestServer } from '../../test/support/postgres.ts'
import type { Measures } from '../support/report.ts'
import { pgbench } from './pgbench.ts'
import type { Target } from './target.ts'

export type CountingPlan = { readonly clients: number; readonly transactions: number }

export type Counting = { readonly measures: Measures }

/** Both sides are asked for statements on this table; nothing else on this server touches it. */
const TABLE = 'pgbench_accounts'

/** Throws when the two counts, or the number of transactions, differ. */
export async function counting(
  server: TestServer,
  sluice: Target,
  plan: CountingPlan,
  say: (line: string) => void,
): Promise<Counting> {
  const before = await recordedCommands(sluice)
  // For sessions to come; what the server was started with would outdo a change of its configuration file.
  await server.sql(`ALTER ROLE ALL SET log_statement = 'all'`)
  const loggedBefore = await loggedStatements(server)
  let transactions = 0
  for (const protocol of ['simple', 'extended', 'prepared'] as const) {
    transactions += (await pgbench(sluice, { protocol, ...plan })).transactions
  }
  const logged = (await loggedStatements(server)) - loggedBefore
  await server.sql('ALTER ROLE ALL RESET log_statement')
  const recorded = (await recordedCommands(sluice)) - before
  say(`counted: ${transactions} transactions, ${logged} in the server's log, ${recorded} in the recording`)
  if (recorded !== logged || recorded !== transactions) {
    throw new Error('the recording does not hold what the server ran')
  }
  return { measures: { 'counting.logged': logged, 'counting.recorded': recorded } }
}

async function loggedStatements(server: TestServer): Promise<number> {
  return (await server.statementsLogged()).filter((each) => each.text.includes(`FROM ${TABLE} `)).length
}

async function recordedCommands({ name, recording }: Target): Promise<number> {
  if (recording === undefined) throw new Error(`${name} keeps no recording`)
  let count = 0
  for await (const { entry } of readJournal(recording.directory, recording.keys)) {
    if (
      entry.kind === 'intent' &&
      entry.head.decision === 'allow' &&
      entry.head.text.includes(`FROM ${TABLE} `)
    ) {
      count++
    }
  }
  return count
}
