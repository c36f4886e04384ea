/**
 * `npm run prove -- facts`: the facts of every statement of PostgreSQL's own regression suite held against the locks that
 * the server takes, and how many statements are opaque. With `--json` the last line is an object of counts; names of
 * files run those only.
 */
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTestServer } from '../support/postgres.ts'
import type { Outcome } from './against-locks.ts'
import { compareWithLocks } from './against-locks.ts'
import { EXCUSES } from './excuses.ts'
import { statementsOf } from './script.ts'
import { prepareSuite } from './source.ts'
import { PREPARATION, readSchedule, REGRESSION_DATABASE, SERVER_SETTINGS } from './suite.ts'

const OPAQUE_MAX = 0.06
const OPAQUE_PLAIN_MAX = 0.01
const KINDS_SHOWN = 40

const json = process.argv.includes('--json')
const only = process.argv.slice(2).filter((each) => !each.startsWith('--'))

function say(line: string): void {
  ;(json ? process.stderr : process.stdout).write(`${line}\n`)
}

async function compareSuite(): Promise<Outcome> {
  const suite = await prepareSuite(say)
  const place = await mkdtemp(join(tmpdir(), 'sluice-facts-'))
  await chmod(place, 0o777)
  await mkdir(join(place, 'results'), { mode: 0o777 })
  const server = await startTestServer(15, SERVER_SETTINGS)
  try {
    for (const statement of PREPARATION) await server.sql(statement)
    const variables = new Map([
      ['abs_srcdir', suite.directory],
      ['abs_builddir', place],
      ['libdir', suite.libraries],
      ['dlsuffix', '.so'],
      ['DBNAME', REGRESSION_DATABASE],
      ['USER', server.user],
    ])
    const names = (await readSchedule(suite)).flat()
    const scripts = names
      .filter((name) => only.length === 0 || name === 'test_setup' || only.includes(name))
      .map((name) => ({
        name,
        statements: async () =>
          statementsOf(await readFile(join(suite.directory, 'sql', `${name}.sql`), 'utf8'), variables),
      }))
    return await compareWithLocks(server, REGRESSION_DATABASE, scripts, say)
  } finally {
    await server.stop('immediate')
    await rm(place, { recursive: true, force: true })
  }
}

const outcome = await compareSuite()
const { files, statements, compared, exact, excused, opaque, opaqueOfUsers, plain, crashes, missed } = outcome
const opaquePlain = opaque - opaqueOfUsers
for (const each of crashes) say(each)
for (const [kind, n] of [...outcome.opaqueKinds].toSorted(([, a], [, b]) => b - a).slice(0, KINDS_SHOWN))
  say(`opaque: ${n} ${kind}`)
for (const [reason, n] of excused) say(`excused: ${n} ${reason}: ${EXCUSES[reason]}`)
const percent = (share: number) => `${(share * 100).toFixed(2)} %`
say(
  `${files} files, ${statements} statements, ${compared} compared with locks, ${exact} exact: ${missed.length} told too little, ${crashes.length} crashed the analysis; opaque ${percent(opaque / statements)}, without code of users ${percent(opaquePlain / plain)} of ${plain}.`,
)
process.exitCode =
  missed.length + crashes.length === 0 &&
  opaque / statements < OPAQUE_MAX &&
  opaquePlain / plain < OPAQUE_PLAIN_MAX
    ? 0
    : 1
if (json) {
  const reasons = Object.fromEntries([...excused].map(([reason, n]) => [`excused.${reason}`, n]))
  const counts = {
    files,
    statements,
    compared,
    exact,
    ...reasons,
    missed: missed.length,
    crashes: crashes.length,
    opaque,
    opaqueOfUsers,
    opaqueWithoutCodeOfUsers: opaquePlain,
    statementsWithoutCodeOfUsers: plain,
  }
  process.stdout.write(`${JSON.stringify(counts)}\n`)
}
