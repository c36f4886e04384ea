/** TypeORM with entities, relations, migrations' schema builder and streaming, over node-postgres. */
import { DataSource, EntitySchema, Like, QueryFailedError } from 'typeorm'
import type { Step } from './report.ts'
import { report } from './report.ts'

const dsn = process.env['SLUICE_TEST_DSN'] ?? ''

type Shelf = { id?: number; label: string; made?: Date; books?: Book[] }
type Book = { id?: number; title: string; pages: number; meta: object | null; shelf?: Shelf }

const ShelfEntity = new EntitySchema<Shelf>({
  name: 'Shelf',
  tableName: 'orm_shelves',
  columns: {
    id: { type: Number, primary: true, generated: true },
    label: { type: String, unique: true },
    made: { type: 'timestamptz', createDate: true },
  },
  relations: { books: { type: 'one-to-many', target: 'Book', inverseSide: 'shelf' } },
})
const BookEntity = new EntitySchema<Book>({
  name: 'Book',
  tableName: 'orm_books',
  columns: {
    id: { type: Number, primary: true, generated: true },
    title: { type: String },
    pages: { type: Number },
    meta: { type: 'jsonb', nullable: true },
  },
  relations: { shelf: { type: 'many-to-one', target: 'Shelf', joinColumn: true } },
})

async function withSource<T>(use: (source: DataSource) => Promise<T>): Promise<T> {
  // `synchronize` reads the catalogue, compares and issues DDL: the heaviest catalogue traffic a client makes.
  const source = new DataSource({
    type: 'postgres',
    url: dsn,
    entities: [ShelfEntity, BookEntity],
    synchronize: true,
    dropSchema: false,
  })
  await source.initialize()
  try {
    return await use(source)
  } finally {
    await source.query('DROP TABLE IF EXISTS orm_books, orm_shelves')
    await source.destroy()
  }
}

const steps: Record<string, Step> = {
  repositories: async () =>
    withSource(async (source) => {
      const shelves = source.getRepository(ShelfEntity)
      const books = source.getRepository(BookEntity)
      const shelf = await shelves.save({ label: 'poetry' })
      await books.save([
        { title: 'One', pages: 10, meta: { signed: true }, shelf },
        { title: 'Two', pages: 20, meta: null, shelf },
      ])
      const found = await shelves.findOneOrFail({
        where: { label: 'poetry' },
        relations: { books: true },
        order: { books: { id: 'ASC' } },
      })
      const [page, total] = await books.findAndCount({ order: { pages: 'DESC' }, take: 1 })
      const raw = await source.query('SELECT sum(pages)::int AS pages FROM orm_books WHERE pages > $1', [5])
      const failure = await shelves.insert({ label: 'poetry' }).then(
        () => 'no error',
        (error: unknown) =>
          error instanceof QueryFailedError
            ? { message: error.message, code: error.driverError.code }
            : String(error),
      )
      return { books: found.books, page, total, raw, failure, made: found.made instanceof Date }
    }),
  transactions: async () =>
    withSource(async (source) => {
      const undone = await source
        .transaction(async (manager) => {
          await manager.insert(ShelfEntity, { label: 'never' })
          throw new Error('on purpose')
        })
        .catch((error: unknown) => String(error))
      await source.transaction('SERIALIZABLE', async (manager) => {
        await manager.insert(ShelfEntity, { label: 'outer' })
        await manager
          .transaction(async (inner) => inner.insert(ShelfEntity, { label: 'inner' }))
          .catch(() => undefined)
      })
      return {
        undone,
        labels: (await source.getRepository(ShelfEntity).find({ order: { id: 'ASC' } })).map(
          ({ label }) => label,
        ),
      }
    }),
  synchronizeAgain: async () =>
    withSource(async (source) => {
      const log = await source.driver.createSchemaBuilder().log()
      return log.upQueries.map(({ query }) => query)
    }),
}

type Customer = { id: number; email: string; phone: string | null }
const CustomerEntity = new EntitySchema<Customer>({
  name: 'Customer',
  tableName: 'customers',
  columns: {
    id: { type: Number, primary: true },
    email: { type: String },
    phone: { type: String, nullable: true },
  },
})

async function refusalOf(query: Promise<unknown>) {
  return query.then(
    () => 'no error',
    (error: unknown) => {
      if (!(error instanceof QueryFailedError)) throw error
      const { code, detail, hint } = Object(error.driverError)
      return { code, message: error.message, detail, hint }
    },
  )
}

/** Against the sample company with its rules. Only when asked for by name. */
const guarded: Step = async () => {
  const source = new DataSource({
    type: 'postgres',
    url: dsn,
    entities: [CustomerEntity],
    synchronize: false,
    poolSize: 2,
  })
  await source.initialize()
  try {
    const customers = source.getRepository(CustomerEntity)
    const shown = ({ id, email, phone }: Customer) => [id, email, phone]
    const masked = (await customers.find({ order: { id: 'ASC' }, take: 2 })).map(shown)
    const prepared: unknown[] = []
    for (const id of [1, 2, 1]) prepared.push(shown(await customers.findOneByOrFail({ id })))
    const runner = source.createQueryRunner()
    const refused = await refusalOf(runner.query('DROP TABLE customers'))
    const filtered = await refusalOf(customers.find({ where: { email: Like('a%') }, select: { id: true } }))
    await runner.startTransaction()
    const inside = await refusalOf(runner.query('DROP TABLE customers'))
    const after = await refusalOf(runner.query('SELECT 1'))
    await runner.rollbackTransaction()
    const [last] = await runner.query('SELECT 1 AS n')
    await runner.release()
    return { masked, prepared, refused, filtered, inside, after, usable: last.n }
  } finally {
    await source.destroy()
  }
}

await report(process.argv.includes('guarded') ? { guarded } : steps)
