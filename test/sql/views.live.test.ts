import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { viewsQuery } from '../../src/protocols/postgres/catalogue/catalogue.ts'
import type { TestServer } from '../support/postgres.ts'
import { MAJORS, startTestServer } from '../support/postgres.ts'
import { loadCatalogue } from './load.ts'
import { SCHEMA } from './schema.ts'

describe.each(MAJORS)('the definitions of views on PostgreSQL %i', (major) => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startTestServer(major, { autovacuum: false })
    await server.sql('CREATE DATABASE views')
    client = await server.client('views')
    for (const text of SCHEMA) await client.query(text)
  })

  afterAll(async () => {
    await client.end()
    await server.stop()
  })

  it('come with every name in full, whatever the search path, which stays as it is', async () => {
    await client.query('SET search_path = app, public')
    const { relations } = await loadCatalogue(client)
    const definitions = [...relations.values()].flatMap(({ name, definition }) =>
      definition === undefined ? [] : [[name, definition] as const],
    )
    expect(new Map(definitions).get('vip')).toMatch(/FROM public\.customers/)
    expect(new Map(definitions).get('mat')).toMatch(/FROM public\.customers/)
    const kinds = [...relations.values()].filter(({ kind }) => kind === 'v' || kind === 'm')
    expect(definitions.length).toBe(kinds.length)
    const path = await client.query('SHOW search_path')
    expect(path.rows).toEqual([{ search_path: 'app, public' }])
    expect((await client.query('SHOW lock_timeout')).rows).toEqual([{ lock_timeout: '0' }])
  })

  it('are not waited for when a table they read is being changed', async () => {
    const other = await server.client('views')
    await other.query('BEGIN')
    await other.query('ALTER TABLE customers ADD COLUMN more int')
    try {
      await expect(client.query(viewsQuery)).rejects.toMatchObject({ code: '55P03' })
    } finally {
      await other.query('ROLLBACK')
      await other.end()
    }
    expect((await client.query(viewsQuery)).rows.length).toBeGreaterThan(5)
  })
})
