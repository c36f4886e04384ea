import { readFile, writeFile } from 'node:fs/promises'
import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { allowAll, TEST_IDENTITY } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { teardown } from '../support/teardown.ts'

const FIRST = 'first-role-password'

describe('the password of an upstream role is replaced (sluice credentials rotate)', () => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway

  beforeAll(async () => {
    server = await startTestServer(15)
    later(() => server.stop())
    await server.role('worker', FIRST)
    const upstream = { server, user: 'worker', databases: ['postgres'] }
    gateway = await startGateway({
      config: allowAll({ crm: upstream, again: upstream, other: upstream })
        .replaceAll(/"?\$\{env:[A-Z_]+\}"?/g, '"${store:worker}"')
        .replace(/( {2}other:[\s\S]*?)\$\{store:worker\}/, '$1${env:OTHER}'),
      env: { OTHER: FIRST },
    })
    later(() => gateway.stop())
    await gateway.cli(['secrets', 'set', 'worker'], { input: FIRST })
  })

  async function opens(connectionString: string): Promise<Client> {
    const client = new Client({ connectionString })
    await client.connect()
    return client
  }

  async function rotate(connection: string): Promise<string> {
    const { stdout, stderr } = await gateway.cli(['credentials', 'rotate', connection])
    return `${stdout}${stderr}`
  }

  /** Whether the server itself takes a password of the role. */
  async function takes(password: string): Promise<boolean> {
    const { host, port } = server
    const client = new Client({ host, port, user: 'worker', password, database: 'postgres' })
    try {
      await client.connect()
      await client.end()
      return true
    } catch {
      return false
    }
  }

  test('not of what is kept elsewhere, nor while another connection logs in as the same role with a secret of its own', async () => {
    expect(await rotate('crm')).toContain('other logs in as the same role with another secret')
    expect(await rotate('other')).toContain(
      'It is kept in ${env:OTHER}, where the gateway cannot put another.',
    )
    expect(await rotate('nowhere')).toContain('nowhere')
    expect(await takes(FIRST)).toBe(true)
    const { configFile: file } = gateway
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace(/\n {2}other:[\s\S]*?(?=\n\S)/, ''))
    const { stdout, stderr } = await gateway.cli(['config', 'apply', file])
    expect(`${stdout}${stderr}`).toContain('is in force')
  })

  test('a new one is in force, the old one is dead, open sessions live on, and nobody was shown either', async () => {
    const open = await opens(await gateway.dsn('crm', TEST_IDENTITY))
    open.on('error', () => undefined)
    const said = await rotate('crm')
    expect(said).toBe(
      'The upstream of crm has a new password, sealed as worker. Open sessions live on.\nThe old one is refused there.\n',
    )
    expect(await takes(FIRST)).toBe(false)
    expect((await open.query('SELECT current_user AS who')).rows).toEqual([{ who: 'worker' }])
    await open.end()
    // The other connection has the same secret.
    for (const connection of ['crm', 'again']) {
      const client = await opens(await gateway.dsn(connection, TEST_IDENTITY))
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
      await client.end()
    }
    expect(await rotate('again')).toContain('has a new password')
    const client = await opens(await gateway.dsn('crm', TEST_IDENTITY))
    await client.end()
    // What the server keeps in its log is a verifier.
    const logged = (await server.statementsLogged()).map(({ text }) => text)
    const changes = logged.filter((text) => text.startsWith('ALTER ROLE CURRENT_USER'))
    expect(changes).toHaveLength(2)
    for (const text of changes) expect(text).toMatch(/PASSWORD 'SCRAM-SHA-256\$4096:[^']*'$/)
    const { stdout } = await gateway.cli(['audit', 'log', '--json'])
    expect(stdout).toContain('credential.rotate')
    const listed = await gateway.cli(['connections', 'ls'])
    expect(listed.stdout).toMatch(/^crm .* store, \d+s ago/m)
  })
})
