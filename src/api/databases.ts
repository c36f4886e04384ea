import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { Connection } from '../core/index.ts'

const withDatabases = z.object({ databases: z.array(z.string()) })

/** The databases a connection may open; nothing where its protocol has none. */
export function databasesOf(connection: Connection): readonly string[] | undefined {
  const read = withDatabases.safeParse(connection.settings)
  return read.success ? read.data.databases : undefined
}

const withServer = z.object({
  upstream: z.object({ host: z.string(), port: z.number(), user: z.string() }),
})

/** Whether a session that began with `before` may go on under `now`: in its database, as its role on its server. */
export function stillOpens(before: Connection, now: Connection, database: string): boolean {
  const databases = databasesOf(now)
  if (databases === undefined) return before.protocol === now.protocol
  const [from, to] = [withServer.safeParse(before.settings), withServer.safeParse(now.settings)]
  return databases.includes(database) && isDeepStrictEqual(from.data, to.data)
}
