/** `value.function` calls a function without looking like it: none of the server's own that acts may pass for a column. */
import { beforeAll, describe, expect, it } from 'vitest'
import { HARMLESS, mayBeCalled } from '../../src/sql/builtins/functions.ts'
import type { TestServer } from '../support/postgres.ts'
import { MAJORS, startTestServer } from '../support/postgres.ts'
import { teardown } from '../support/teardown.ts'

/** Can be called by nobody: there is no value of the type that they take. */
const UNCALLABLE = ['internal', 'cstring']

describe.each(MAJORS)('functions as attributes: PostgreSQL %i', (major) => {
  const later = teardown()
  let server: TestServer

  beforeAll(async () => {
    server = await startTestServer(major)
    later(() => server.stop())
  })

  it('are those that the server calls so', async () => {
    const [row] = await server.sql<{ ts_stat: string }>(
      `SELECT x.ts_stat FROM unnest(ARRAY['SELECT to_tsvector(''marker'')']) x`,
    )
    expect(row?.ts_stat).toContain('marker')
  })

  it('are all taken for calls, unless they only compute', async () => {
    const rows = await server.sql<{ name: string }>(
      `SELECT DISTINCT proname AS name FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
         AND provolatile = 'v' AND pronargs > 0 AND pronargs - pronargdefaults <= 1
         AND proargtypes[0]::regtype::text <> ALL ($1)`,
      [UNCALLABLE],
    )
    const names = rows.map(({ name }) => name)
    expect(names).toContain('ts_stat')
    expect(names.filter((name) => !HARMLESS.has(name) && !mayBeCalled(name))).toEqual([])
  })
})
