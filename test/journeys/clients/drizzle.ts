/** Drizzle over node-postgres and over postgres.js, as its documentation shows it. */
import { asc, eq, gt, like, sql } from 'drizzle-orm'
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

const customers = pgTable('customers', { id: integer().primaryKey(), email: text().notNull(), phone: text() })

/** Drizzle wraps what the driver threw. */
async function refusalOf(query: PromiseLike<unknown>) {
  return Promise.resolve(query).then(
    () => 'no error',
    (error: unknown) => {
      const cause = Object(error instanceof Error ? error.cause : undefined)
      return { code: cause.code, message: cause.message, detail: cause.detail, hint: cause.hint }
    },
  )
}

/** Against the sample company with its rules. Only when asked for by name. */
const guarded: Step = async () => {
  // One client and not a pool, which would throw a client away after every error.
  const client = new pg.Client({ connectionString: dsn })
  await client.connect()
  const db = overPg(client)
  try {
    const masked = await db.select().from(customers).orderBy(asc(customers.id)).limit(2)
    const one = db
      .select()
      .from(customers)
      .where(eq(customers.id, sql.placeholder('id')))
      .prepare('one')
    const prepared = [
      ...(await one.execute({ id: 1 })),
      ...(await one.execute({ id: 2 })),
      ...(await one.execute({ id: 1 })),
    ]
    const refused = await refusalOf(db.execute(sql`DROP TABLE customers`))
    const filtered = await refusalOf(
      db.select({ id: customers.id }).from(customers).where(like(customers.email, 'a%')),
    )
    await db.execute(sql`BEGIN`)
    const inside = await refusalOf(db.execute(sql`DROP TABLE customers`))
    const after = await refusalOf(db.execute(sql`SELECT 1`))
    await db.execute(sql`ROLLBACK`)
    const usable = (await db.execute(sql`SELECT 1 AS n`)).rows[0]
    return {
      masked: masked.map(Object.values),
      prepared: prepared.map(Object.values),
      refused,
      filtered,
      inside,
      after,
      usable: usable?.['n'],
    }
  } finally {
    await client.end()
  }
}

await report(process.argv.includes('guarded') ? { guarded } : steps)
