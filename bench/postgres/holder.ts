/**
 * Opens sessions and holds them without a word. Coordinates come as PGHOST and so on, the number of sessions and
 * `plain` or `tls` as arguments; prints a line when all are open, and holds them until it is ended.
 */
import { Client } from 'pg'

const AT_ONCE = 20

const [count = '0', encryption = 'plain'] = process.argv.slice(2)
const held: Client[] = []
let opened = 0

async function open(): Promise<void> {
  while (opened < Number(count)) {
    opened++
    const client = new Client(encryption === 'tls' ? { ssl: { rejectUnauthorized: false } } : { ssl: false })
    client.on('error', (error) => {
      console.error(error.message)
      process.exit(1)
    })
    await client.connect()
    held.push(client)
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, open))
console.log(`holding ${held.length}`)
process.stdin.resume()
