/**
 * Sessions that are held, in a process of their own. Reads DSNs from standard input, one a line, opens a session for each
 * and prints `open N`; at a line `go` each sends an UPDATE of its own, and what it hears is printed: `held N TICKET`,
 * `done N NANOSECONDS` (the clock that every process of the machine shares), `failed N MESSAGE`.
 */
import { createInterface } from 'node:readline'
import { Client } from 'pg'

const AT_ONCE = 20
const TICKET = /T-[0-9A-Z]{8}/

const sessions: Client[] = []
const dsns: string[] = []

async function open(): Promise<void> {
  for (let dsn = dsns.pop(); dsn !== undefined; dsn = dsns.pop()) {
    const client = new Client({ connectionString: dsn, ssl: false })
    client.on('error', (error) => {
      console.error(error.message)
      process.exit(1)
    })
    await client.connect()
    sessions.push(client)
  }
}

function ask(client: Client, n: number): void {
  let ticket: string | undefined
  client.on('notice', ({ message = '' }) => {
    if (ticket !== undefined) return
    ticket = TICKET.exec(message)?.[0]
    if (ticket !== undefined) console.log(`held ${n} ${ticket}`)
  })
  client.query(`update accounts set balance = 0 where id = ${n}`).then(
    () => console.log(`done ${n} ${process.hrtime.bigint()}`),
    (error: Error) => console.log(`failed ${n} ${error.message}`),
  )
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'go') {
    sessions.forEach(ask)
  } else if (line === 'open') {
    await Promise.all(Array.from({ length: AT_ONCE }, open))
    console.log(`open ${sessions.length}`)
  } else {
    dsns.push(line)
  }
}
