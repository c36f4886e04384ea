/** postgres.js that is told what to do while it runs: see told.ts. */
import postgres from 'postgres'
import type { Rows } from './told.ts'
import { lastOf, serve } from './told.ts'

const sql = postgres(process.env['SLUICE_TEST_DSN'] ?? '', {
  max: 1,
  fetch_types: false,
  onnotice: () => undefined,
})
let running: { cancel(): void } | undefined

async function ask(text: string, values: readonly string[] = []): Promise<Rows> {
  const query = sql.unsafe(text, [...values], { prepare: true })
  running = query
  return [...(await query.values())]
}

await sql.unsafe('SELECT 1')
await serve({
  run: ask,
  async together(first, others) {
    await ask(first)
    return await lastOf(others.map((each) => ask(each)))
  },
  cancel: () => running?.cancel(),
})
