/** Every example is a configuration that starts, and says of itself what is true. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { createCertificates } from '../src/net/index.ts'
import { makeCompany, prepareCrm, startApi } from '../src/sample/index.ts'
import type { SampleApi } from '../src/sample/index.ts'
import type { TestGateway } from './support/gateway.ts'
import { startGateway } from './support/gateway.ts'
import type { TestServer } from './support/postgres.ts'
import { startTestServer } from './support/postgres.ts'
import { psql } from './support/psql.ts'
import { teardown } from './support/teardown.ts'

const EXAMPLES = fileURLToPath(new URL('../examples/', import.meta.url))
const FILES = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'))

describe('examples', () => {
  const later = teardown()
  let server: TestServer
  let api: SampleApi

  beforeAll(async () => {
    server = await startTestServer(15)
    later(() => server.stop())
    const company = makeCompany()
    await prepareCrm(server, { superuser: server.password, role: 'role-password' }, company)
    api = await startApi({ company, token: 'api-token' })
    later(() => api.stop())
  })

  /** The file as it is, but for where things are on this machine. */
  async function start(file: string): Promise<TestGateway> {
    const certificate = await createCertificates({ names: ['localhost'], now: Date.now() })
    const config = readFileSync(join(EXAMPLES, file), 'utf8')
      .replaceAll(/port: 1\d{4}\b/g, 'port: 0')
      .replaceAll('0.0.0.0', '127.0.0.1')
      .replaceAll(/host: db\.internal(,?)/g, `host: 127.0.0.1$1`)
      .replaceAll('port: 5432', `port: ${server.port}`)
      .replaceAll('host: 127.0.0.1,', `host: 127.0.0.1, port: ${server.port},`)
      .replaceAll('sslmode: verify-full', 'sslmode: disable')
      .replaceAll('http://127.0.0.1:8080', api.url)
      .replaceAll(/\$\{store:[a-z-]+\}/g, '${env:CRM_PASSWORD}')
    const gateway = await startGateway({
      config,
      env: { CRM_PASSWORD: 'role-password', BILLING_TOKEN: 'api-token' },
      files: {
        'tls/chain.pem': certificate.certificate,
        'tls/key.pem': certificate.key.reveal(),
      },
    })
    later(() => gateway.stop())
    return gateway
  }

  test('each is named in the list, and the list names each', () => {
    const list = readFileSync(join(EXAMPLES, 'README.md'), 'utf8')
    const named = [...list.matchAll(/\]\(([a-z-]+\.yaml)\)/g)].map(([, name]) => name)
    expect(new Set(named)).toEqual(new Set(FILES))
  })

  test.each(FILES)('%s starts', async (file) => {
    const gateway = await start(file)
    expect(Object.keys(gateway.ports).length).toBeGreaterThan(0)
    expect((await gateway.cli(['status'])).code).toBe(0)
    expect(gateway.stderr()).toBe('')
  })

  test('masked-reads.yaml masks what it says, and refuses the rest', async () => {
    const gateway = await start('masked-reads.yaml')
    const done = await psql(
      await gateway.dsn('crm', 'support-agent'),
      'SELECT email, phone FROM customers WHERE id = 1;\nSELECT key FROM api_keys WHERE id = 1;\nDELETE FROM invoices WHERE id = 1;',
      ['-At'],
    )
    expect(done.stdout).toMatch(/^r\*+@[a-z]+\.example\|\*+\d\d\n\n$/)
    expect(done.stderr).toMatch(/ERROR: /)
    expect((await server.statementsLogged()).filter(({ text }) => text.startsWith('DELETE'))).toEqual([])
  })

  test('held-writes.yaml never lets a table be emptied', async () => {
    const gateway = await start('held-writes.yaml')
    const done = await psql(await gateway.dsn('crm', 'support-agent'), 'DELETE FROM invoices;', [
      '-v',
      'VERBOSITY=verbose',
    ])
    expect(done.stderr).toMatch(/SL001: .*nobody empties a table/s)
  })

  test('internal-api.yaml masks fields, and knows no other routes', async () => {
    const gateway = await start('internal-api.yaml')
    const token = (await gateway.cli(['token', 'billing', '--as', 'support-agent'])).stdout.trim()
    const ask = async (path: string) =>
      fetch(`http://127.0.0.1:${gateway.ports['http']}/c/billing${path}`, {
        headers: { authorization: `Bearer ${token}` },
      })
    expect(await (await ask('/customers/1')).json()).toMatchObject({
      id: 1,
      email: expect.stringMatching(/^r\*+@/),
    })
    expect((await ask('/customers')).status).toBe(403)
  })

  test('observe-first.yaml refuses nothing, and records what it would refuse', async () => {
    const gateway = await start('observe-first.yaml')
    const dsn = await gateway.dsn('crm', 'support-agent')
    const done = await psql(
      dsn,
      'UPDATE customers SET plan = plan WHERE id = 5;\nSELECT email FROM customers WHERE id = 5;',
      ['-At'],
    )
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(done.stdout).toContain(makeCompany().customers[4]?.email)
    const { sessions }: { sessions: { session: string }[] } = JSON.parse(
      (await gateway.cli(['sessions', 'ls', '--json'])).stdout,
    )
    const shown = await gateway.cli(['sessions', 'show', sessions[0]?.session ?? '', '--json'])
    expect(shown.stdout).toContain('agents would write nothing')
  })
})
