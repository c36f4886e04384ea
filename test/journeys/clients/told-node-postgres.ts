/** node-postgres that is told what to do while it runs: see told.ts. */
import pg from 'pg'
import type { Rows } from './told.ts'
import { lastOf, serve } from './told.ts'

const connectionString = process.env['SLUICE_TEST_DSN'] ?? ''
const client = new pg.Client({ connectionString })
const pipelining = new pg.Client({ connectionString, pipeline: true })
for (const each of [client, pipelining]) await each.connect()

async function ask(of: pg.Client, text: string, values: readonly string[] = []): Promise<Rows> {
  // Without values it is a simple query, with some the extended protocol.
  const { rows } = await of.query({ text, values: [...values], rowMode: 'array' })
  return rows
}

await serve({
  run: (sql, values) => ask(client, sql, values),
  async together(first, others) {
    await ask(pipelining, first)
    return await lastOf(others.map((sql) => ask(pipelining, sql)))
  },
})
