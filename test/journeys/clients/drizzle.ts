/** Drizzle over node-postgres and over postgres.js, as its documentation shows it. */
import { eq, gt, sql } from 'drizzle-orm'
import { drizzle as overPg } from 'drizzle-orm/node-postgres'
import { integer, numeric, pgTable, text, timestamp } from 'drizzle-orm/pg-core'
import { drizzle as overPostgresJs } from 'drizzle-orm/postgres-js'
import pg from 'pg'
import postgres from 'postgres'
import type { Step } from './report.ts'
import { report } from './report.ts'

const dsn = process.env['SLUICE_TEST_DSN'] ?? ''

const things = pgTable('things', {
  id: integer().primaryKey(),
  name: text().notNull(),
  price: numeric(),
  made: timestamp({ withTimezone: true }),
})
const parts = pgTable('parts', {
  id: integer().primaryKey(),
  thingId: integer('thing_id').references(() => things.id),
})
const scratch = pgTable('scratch', { id: integer(), note: text().notNull() })

type Database = ReturnType<typeof overPg> | ReturnType<typeof overPostgresJs>

async function work(db: Database) {
  await db.delete(scratch)
  const inserted = await db
    .insert(scratch)
    .values([
      { id: 1, note: 'one' },
      { id: 2, note: 'two' },
    ])
    .returning()
  const undone = await db
    .transaction(async (tx) => {
      await tx.update(scratch).set({ note: 'changed' }).where(eq(scratch.id, 1))
      tx.rollback()
    })
    .catch((error: unknown) => (error instanceof Error ? error.name : String(error)))
  await db.transaction(async (tx) => {
    await tx.transaction(async (inner) => inner.insert(scratch).values({ id: 3, note: 'nested' }))
  })
  const failure = await db
    .insert(things)
    .values({ id: 1, name: 'again' })
    .then(
      () => 'no error',
      (error: unknown) => {
        const cause: unknown = error instanceof Error ? error.cause : undefined
        return {
          code: Reflect.get(Object(cause), 'code'),
          constraint:
            Reflect.get(Object(cause), 'constraint') ?? Reflect.get(Object(cause), 'constraint_name'),
        }
      },
    )
  return {
    inserted,
    undone,
    failure,
    left: await db.select().from(scratch).orderBy(scratch.id),
    joined: await db
      .select({ thing: things.name, part: parts.id })
      .from(things)
      .leftJoin(parts, eq(parts.thingId, things.id))
      .orderBy(things.id, parts.id),
    filtered: await db.select().from(things).where(gt(things.price, '2')).orderBy(things.id).limit(2),
    counted: await db.select({ n: sql<number>`count(*)::int` }).from(things),
  }
}

const steps: Record<string, Step> = {
  nodePostgres: async () => {
    const pool = new pg.Pool({ connectionString: dsn, max: 2 })
    try {
      return await work(overPg(pool))
    } finally {
      await pool.end()
    }
  },
  postgresJs: async () => {
    const client = postgres(dsn, { max: 2, onnotice: () => undefined })
    try {
      return await work(overPostgresJs(client))
    } finally {
      await client.end({ timeout: 5 })
    }
  },
}

await report(steps)
