/** Upstreams that cannot be reached, one behind a Unix socket, and every place where a password can come from. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import { mintDsn } from '../support/mint.ts'
import type { TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { psql, psqlRows } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'

const PASSWORD = 'reach-secret-2342'

describe('an upstream', () => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway
  let place: string

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), 'sluice-reach-'))
    later(() => rm(place, { recursive: true, force: true }))
    server = await startTestServer(15)
    later(() => server.stop())
    await server.role('app', PASSWORD)
    await writeFile(join(place, 'password'), `${PASSWORD}\n`, { mode: 0o600 })
    const helper = join(place, 'helper')
    await writeFile(helper, `#!/bin/sh\necho "${PASSWORD}"\n`)
    await chmod(helper, 0o700)
    const to = (name: string, upstream: string) => `  ${name}:
    protocol: postgres
    upstream: { ${upstream}, user: app, sslmode: disable }
    databases: [postgres]`
    const here = `host: ${server.host}, port: ${server.port}`
    gateway = await startGateway({
      config: `listen: { postgres: { port: 0 } }
identities: { local: [{ name: tester, kind: service }] }
connections:
${to('down', 'host: 127.0.0.1, port: 1, password: "${env:SLUICE_TEST_PASSWORD}"')}
${to('nameless', 'host: nowhere.invalid, password: "${env:SLUICE_TEST_PASSWORD}"')}
${to('no-socket', `host: ${place}, password: "\${env:SLUICE_TEST_PASSWORD}"`)}
${to('socket', `host: ${server.socketDirectory}, port: ${server.port}, password: "\${env:SLUICE_TEST_PASSWORD}"`)}
${to('by-env', `${here}, password: "\${env:SLUICE_TEST_PASSWORD}"`)}
${to('by-file', `${here}, password: "\${file:${join(place, 'password')}}"`)}
${to('by-store', `${here}, password: "\${store:app-password}"`)}
${to('by-command', `${here}, password: "\${command:${helper}}"`)}
${to('no-env', `${here}, password: "\${env:SLUICE_TEST_UNSET}"`)}
${to('no-file', `${here}, password: "\${file:${join(place, 'nothing-here')}}"`)}
${to('no-store', `${here}, password: "\${store:never-set}"`)}
${to('no-command', `${here}, password: "\${command:${join(place, 'no-helper')}}"`)}
rules:
  - { name: all, who: everyone, on: all, permit: { run: all, unreviewed: all, unlimited: true } }
`,
      env: { SLUICE_TEST_PASSWORD: PASSWORD },
    })
    later(() => gateway.stop())
  })

  async function refused(connection: string): Promise<string> {
    const done = await psql(await mintDsn(gateway, connection, 'tester'), 'SELECT 1')
    expect(done.code).toBe(2)
    expect(done.stdout).toBe('')
    return done.stderr
  }

  test('that is down, and one whose name leads nowhere, are named to the client', async () => {
    expect(await refused('down')).toContain('The upstream 127.0.0.1:1 refused the connection.')
    expect(await refused('nameless')).toContain(
      'The upstream nowhere.invalid:5432 has a name that cannot be resolved.',
    )
    expect(await refused('no-socket')).toContain('has no such socket')
  })

  test('behind a Unix socket is reached', async () => {
    const dsn = await mintDsn(gateway, 'socket', 'tester')
    expect(await psqlRows(dsn, 'SELECT inet_client_addr() IS NULL, session_user')).toEqual(['t\tapp'])
  })

  test('gets its password from the environment, a file, the store or a command', async () => {
    const who = async (connection: string) =>
      psqlRows(await mintDsn(gateway, connection, 'tester'), 'SELECT session_user')
    expect(await who('by-env')).toEqual(['app'])
    expect(await who('by-file')).toEqual(['app'])
    expect(await who('by-command')).toEqual(['app'])

    expect(await refused('by-store')).toMatch(/credential of this connection cannot be had/)
    const set = await gateway.cli(['secrets', 'set', 'app-password'], { input: PASSWORD })
    expect(set).toMatchObject({ code: 0 })
    expect(set.stdout + set.stderr).not.toContain(PASSWORD)
    expect(await who('by-store')).toEqual(['app'])
  })

  test('gets the password that is right now: a changed one is used by the next session', async () => {
    const next = 'reach-secret-next'
    const who = async (connection: string) =>
      psqlRows(await mintDsn(gateway, connection, 'tester'), 'SELECT session_user')
    expect(await who('by-command')).toEqual(['app'])
    await server.role('app', next)
    try {
      await writeFile(join(place, 'password'), next)
      await writeFile(join(place, 'helper'), `#!/bin/sh\necho "${next}"\n`)
      await gateway.cli(['secrets', 'set', 'app-password'], { input: next })
      expect(await who('by-file')).toEqual(['app'])
      expect(await who('by-store')).toEqual(['app'])
      // What a command printed is kept for a minute, but not once the server no longer takes it.
      await psql(await mintDsn(gateway, 'by-command', 'tester'), 'SELECT 1')
      expect(await who('by-command')).toEqual(['app'])
    } finally {
      await server.role('app', PASSWORD)
    }
  })

  test('whose password cannot be had is told to the client without where it should come from', async () => {
    for (const connection of ['no-env', 'no-file', 'no-store', 'no-command']) {
      const told = await refused(connection)
      expect(told).toContain('The credential of this connection cannot be had.')
      expect(told).not.toMatch(/SLUICE_TEST_UNSET|nothing-here|never-set|no-helper/)
    }
  })

  test('never has its password shown', async () => {
    expect(gateway.stderr()).not.toContain(PASSWORD)
  })
})
