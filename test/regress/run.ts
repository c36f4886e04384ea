/**
 * `npm run regress`: PostgreSQL's own regression suite, once straight against a scratch server and once through Sluice
 * against an equal one, under an allow-all policy with the recording on. A file that prints anything else through the
 * gateway is a difference. `known.json` says which ones we accept, and why; that list may only shrink.
 *
 * With `--json` the last line is `{"files": n, "differ": n, "differing": [...]}`. Exit code 0: no difference but the
 * known ones, and each of those still exists.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureSystemPackages } from '../../tools/system.ts'
import { allowAll, TEST_IDENTITY, UPSTREAM_PASSWORD } from '../support/config.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { run } from '../support/process.ts'
import type { Suite } from './source.ts'
import { prepareSuite } from './source.ts'
import type { Endpoint } from './suite.ts'
import { asExpected, PREPARATION, REGRESSION_DATABASE, runSuite, SERVER_SETTINGS } from './suite.ts'

const KNOWN = new URL('known.json', import.meta.url)

const json = process.argv.includes('--json')

function say(line: string): void {
  // With --json, stdout is for the one line that programs read.
  ;(json ? process.stderr : process.stdout).write(`${line}\n`)
}

async function scratchServer(): Promise<TestServer> {
  const server = await startTestServer(15, SERVER_SETTINGS)
  for (const statement of PREPARATION) await server.sql(statement)
  return server
}

async function direct(suite: Suite, place: string): Promise<Map<string, string>> {
  const server = await scratchServer()
  try {
    return await runSuite(suite, server, place, say)
  } finally {
    await server.stop()
  }
}

async function through(suite: Suite, place: string): Promise<Map<string, string>> {
  const server = await scratchServer()
  try {
    const gateway = await startGateway({
      config: allowAll({ regress: { server, user: server.user, databases: [REGRESSION_DATABASE] } }),
      env: { [UPSTREAM_PASSWORD]: server.password },
    })
    try {
      const dsn = await gateway.dsn('regress', TEST_IDENTITY, '4h')
      const outputs = await runSuite(suite, endpointOf(dsn), place, say)
      if (gateway.stderr() !== '') throw new Error(`the gateway reported faults:\n${gateway.stderr()}`)
      return outputs
    } finally {
      await gateway.stop()
    }
  } finally {
    await server.stop()
  }
}

/** The parts of a DSN, for psql's environment: the secret belongs on no command line. */
function endpointOf(dsn: string): Endpoint {
  const { hostname, port, username, password, searchParams } = new URL(dsn)
  return {
    host: hostname,
    port: Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    sslmode: searchParams.get('sslmode') ?? 'disable',
  }
}

async function readKnown(): Promise<Map<string, string>> {
  const parsed: unknown = JSON.parse(await readFile(KNOWN, 'utf8'))
  if (typeof parsed !== 'object' || parsed === null) throw new Error('known.json: an object is expected')
  return new Map(Object.entries(parsed).map(([name, why]) => [name, String(why)]))
}

async function keep(place: string, which: string, outputs: ReadonlyMap<string, string>): Promise<string> {
  const folder = join(place, which)
  await mkdir(folder)
  for (const [name, text] of outputs) await writeFile(join(folder, `${name}.out`), text, 'latin1')
  return folder
}

async function main(): Promise<void> {
  if (!ensureSystemPackages()) {
    process.exitCode = 1
    return
  }
  const suite = await prepareSuite(say)
  const place = await mkdtemp(join(tmpdir(), 'sluice-regress-'))
  await chmod(place, 0o755)
  say(`PostgreSQL ${suite.version}, straight:`)
  const straight = await direct(suite, place)
  const strange: string[] = []
  for (const [name, text] of straight) if (!(await asExpected(suite, name, text))) strange.push(name)
  say(`PostgreSQL ${suite.version}, through Sluice:`)
  const relayed = await through(suite, place)

  const differing = [...straight.keys()].filter((name) => straight.get(name) !== relayed.get(name)).sort()
  const known = await readKnown()
  const surprises = differing.filter((name) => !known.has(name))
  const gone = [...known.keys()].filter((name) => !differing.includes(name))
  const [a, b] = [await keep(place, 'straight', straight), await keep(place, 'through', relayed)]
  for (const name of differing) {
    const { stdout } = await run('diff', ['-U3', join(a, `${name}.out`), join(b, `${name}.out`)])
    say(`\n${name}: ${known.get(name) ?? 'NOT KNOWN'}`)
    if (surprises.includes(name)) say(stdout.split('\n').slice(0, 60).join('\n'))
  }
  say(`\n${straight.size} files, ${differing.length} differ: ${differing.join(' ') || 'none'}.`)
  if (surprises.length > 0) say(`The outputs are in ${place}.`)
  if (strange.length > 0)
    say(`Already straight, these print something else than expected: ${strange.join(' ')}`)
  if (surprises.length === 0) await rm(place, { recursive: true })
  for (const name of surprises) say(`${name} differs and is not in known.json.`)
  for (const name of gone) say(`${name} does not differ any more: remove it from known.json.`)
  process.exitCode = surprises.length + gone.length + strange.length === 0 ? 0 : 1
  if (json)
    process.stdout.write(`${JSON.stringify({ files: straight.size, differ: differing.length, differing })}\n`)
}

await main()
