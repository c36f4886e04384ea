/** Clients that ask without pause in every way the protocol has; each question carries a mark that occurs once. */
import { Client } from 'pg'

export type Load = {
  /** Marks of the questions that were answered, so far. */
  readonly answered: ReadonlySet<string>
  /** Stops asking; resolves when every client has ended. */
  stop(): Promise<void>
}

export function startLoad(dsn: string, clients: number, prefix: string): Load {
  const answered = new Set<string>()
  const stopping = new AbortController()
  const one = async (which: number): Promise<void> => {
    const client = new Client({ connectionString: dsn })
    // The gateway is killed under it: that is the point.
    client.on('error', () => undefined)
    try {
      await client.connect()
      for (let n = 0; !stopping.signal.aborted; n++) {
        const mark = `${prefix}-${which}-${n}`
        await ask(client, n, mark)
        answered.add(mark)
      }
    } catch {
      return
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  const all = Promise.all(Array.from({ length: clients }, (_, which) => one(which)))
  return {
    answered,
    async stop() {
      stopping.abort()
      await all
    },
  }
}

async function ask(client: Client, n: number, mark: string): Promise<void> {
  switch (n % 5) {
    case 0:
      await client.query(`SELECT 1 /* ${mark} */`)
      return
    case 1:
      await client.query(`SELECT $1::text /* ${mark} */`, ['extended'])
      return
    case 2:
      await client.query({ name: 'prepared', text: 'SELECT $1::text', values: [mark] })
      return
    case 3:
      await client.query(`INSERT INTO marks VALUES ('${mark}'); SELECT count(*) FROM marks`)
      return
    default:
      await client.query('BEGIN')
      await client.query('INSERT INTO marks VALUES ($1)', [mark])
      await client.query('COMMIT')
  }
}
