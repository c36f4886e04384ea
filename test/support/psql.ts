import { PSQL_18 } from '../../tools/system.ts'
import type { Finished, RunOptions } from './process.ts'
import { run } from './process.ts'

/** Debian's psql 15, reading `input` as from a terminal's standard input, without anybody's ~/.psqlrc. */
export async function psql(
  dsn: string,
  input: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<Finished> {
  return run('psql', ['-X', '--no-psqlrc', '-P', 'pager=off', ...args, dsn], { ...options, input })
}

/** psql 18, otherwise the same. */
export async function psql18(
  dsn: string,
  input: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<Finished> {
  return run(PSQL_18, ['-X', '--no-psqlrc', '-P', 'pager=off', ...args, dsn], { ...options, input })
}

/** One statement's rows, tab-separated and without decoration; throws with psql's own words when it fails. */
export async function psqlRows(dsn: string, sql: string): Promise<string[]> {
  const done = await psql(dsn, sql, ['-At', '-F', '\t', '-v', 'ON_ERROR_STOP=1'])
  if (done.code !== 0) throw new Error(`psql ended with ${done.code}: ${done.stderr}`)
  return done.stdout.split('\n').slice(0, -1)
}
