/**
 * One statement by node-postgres that is expected to be held: prints a JSON line for every notice as it comes, then one
 * for what became of the statement and whether the connection is still good for another.
 */
import pg from 'pg'

const client = new pg.Client({ connectionString: process.env['SLUICE_TEST_DSN'] ?? '' })
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)
client.on('notice', ({ code, message, detail, hint }) => say({ notice: { code, message, detail, hint } }))
await client.connect()
const [text = '', ...values] = process.argv.slice(2)
try {
  const { command, rowCount } = await client.query(text, values)
  say({ done: { command, rowCount } })
} catch (error) {
  if (!(error instanceof pg.DatabaseError)) throw error
  const { code, message, detail, hint } = error
  say({ failed: { code, message, detail, hint } })
}
say({ usable: (await client.query('SELECT 1 AS n')).rows[0].n })
await client.end()
