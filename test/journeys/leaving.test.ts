/** Somebody connects and leaves again, or is cut off: nothing of them stays behind, and the gateway still ends when told. */
import { connect } from 'node:net'
import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import type { Company } from './company.ts'
import { AGENT, startCompany } from './company.ts'

describe('leaving', () => {
  const later = teardown()
  let company: Company

  beforeAll(async () => {
    company = await startCompany(15)
    // Throws unless the gateway ends by itself, with 0.
    later(() => company.stop())
  })

  async function upstreamSessions() {
    return company.server.sql("SELECT application_name FROM pg_stat_activity WHERE usename = 'crm_app'")
  }

  test('a session that asked nothing leaves no session upstream, the catalogue reader neither', async () => {
    const dsn = await company.gateway.dsn('crm', AGENT)
    for (let n = 0; n < 5; n++) expect((await psql(dsn, '\\conninfo')).code).toBe(0)
    await eventually(
      'all upstream sessions to end',
      async () => (await upstreamSessions()).length === 0,
      5_000,
    )
  })

  test('sessions that ask and leave at once, many at a time, leave none either', async () => {
    const dsn = await company.gateway.dsn('crm', AGENT)
    const all = await Promise.all(
      Array.from({ length: 12 }, async () => psql(dsn, '', ['-At', '-c', 'SELECT count(*) FROM customers'])),
    )
    expect(all.map(({ stdout }) => stdout.trim())).toEqual(Array.from({ length: 12 }, () => '320'))
    await eventually(
      'all upstream sessions to end',
      async () => (await upstreamSessions()).length === 0,
      5_000,
    )
  })

  test('sockets that never speak, or stop in the middle of a word, are no sessions', async () => {
    const port = company.gateway.ports['postgres'] ?? 0
    const sockets = Array.from({ length: 20 }, (_, n) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      if (n % 2 === 0) socket.write(Buffer.from([0, 0, 0, 40, 0, 3]))
      return socket
    })
    expect((await psql(await company.gateway.dsn('crm', AGENT), '', ['-c', 'SELECT 1'])).code).toBe(0)
    for (const socket of sockets) socket.destroy()
    await eventually(
      'all upstream sessions to end',
      async () => (await upstreamSessions()).length === 0,
      5_000,
    )
    expect(company.gateway.stderr()).toBe('')
  })

  test('told to stop, it lets go at once who idles, and lets who is in a transaction finish it', async () => {
    const [idle, working] = await Promise.all(
      [0, 1].map(async () => {
        const client = new pg.Client({ connectionString: await company.gateway.dsn('crm', AGENT) })
        await client.connect()
        return client
      }),
    )
    if (idle === undefined || working === undefined) throw new Error('two clients')
    const farewell = new Promise<Error>((resolve) => idle.on('error', resolve))
    working.on('error', () => undefined)
    await working.query('BEGIN')
    const began = performance.now()
    const restarted = company.gateway.restart()
    expect(await farewell).toMatchObject({ severity: 'FATAL', message: 'The gateway is stopping.' })
    // Who works is waited for up to ten seconds.
    expect(performance.now() - began).toBeLessThan(5_000)
    expect((await working.query('SELECT count(*) FROM customers')).rows).toEqual([{ count: '320' }])
    await working.query('COMMIT')
    const again = await restarted
    later(() => again.stop())
  })
})
