import { z } from 'zod'
import type { Connection } from '../core/index.ts'

const withDatabases = z.object({ databases: z.array(z.string()) })

/** The databases a connection may open; nothing where its protocol has none. */
export function databasesOf(connection: Connection): readonly string[] | undefined {
  const read = withDatabases.safeParse(connection.settings)
  return read.success ? read.data.databases : undefined
}
