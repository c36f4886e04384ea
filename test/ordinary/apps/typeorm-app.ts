/** An application on TypeORM: it looks at the schema, migrates, and works. SLUICE_TEST_DSN says where. */
import type { MigrationInterface, QueryRunner } from 'typeorm'
import { DataSource, EntitySchema, In, IsNull, Not, QueryFailedError, Table, TableIndex } from 'typeorm'
import type { Step } from '../../journeys/clients/report.ts'
import { report } from '../../journeys/clients/report.ts'

type Customer = {
  id: number
  name: string
  email: string
  phone: string | null
  company: string
  plan: string
  country: string
  invoices?: Invoice[]
}
type Invoice = {
  id: number
  number: string
  amount: string
  currency: string
  status: string
  issued_on: string
  customer?: Customer
}
type Task = { id: number; title: string; done: boolean; tags: string[] }

const text = { type: 'text' } as const
const CustomerEntity = new EntitySchema<Customer>({
  name: 'Customer',
  tableName: 'customers',
  synchronize: false,
  columns: {
    id: { type: 'int', primary: true, generated: true },
    name: text,
    email: { ...text, unique: true },
    phone: { ...text, nullable: true },
    company: text,
    plan: text,
    country: { type: 'char', length: 2 },
  },
  relations: { invoices: { type: 'one-to-many', target: 'Invoice', inverseSide: 'customer' } },
})
const InvoiceEntity = new EntitySchema<Invoice>({
  name: 'Invoice',
  tableName: 'invoices',
  synchronize: false,
  columns: {
    id: { type: 'int', primary: true, generated: true },
    number: { ...text, unique: true },
    amount: { type: 'numeric', precision: 10, scale: 2 },
    currency: { type: 'char', length: 3 },
    status: text,
    issued_on: { type: 'date' },
  },
  relations: {
    customer: {
      type: 'many-to-one',
      target: 'Customer',
      joinColumn: { name: 'customer_id' },
      nullable: false,
    },
  },
})
const TaskEntity = new EntitySchema<Task>({
  name: 'Task',
  tableName: 'orm_tasks',
  columns: {
    id: { type: 'int', primary: true, generated: true },
    title: { type: 'varchar', length: 40 },
    done: { type: 'boolean', default: false },
    tags: { type: 'text', array: true, default: '{}' },
  },
})

class MakeTasks1700000000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const id = { name: 'id', type: 'serial', isPrimary: true }
    await runner.createTable(
      new Table({ name: 'orm_tasks', columns: [id, { name: 'title', type: 'varchar(40)' }] }),
      true,
    )
    await runner.createIndex('orm_tasks', new TableIndex({ name: 'orm_tasks_title', columnNames: ['title'] }))
    await runner.query('ALTER TABLE "customers" ADD "orm_score" integer')
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE "customers" DROP COLUMN "orm_score"')
    await runner.dropTable('orm_tasks')
  }
}

const source = new DataSource({
  type: 'postgres',
  url: process.env['SLUICE_TEST_DSN'] ?? '',
  entities: [CustomerEntity, InvoiceEntity, TaskEntity],
  migrations: [MakeTasks1700000000001],
  migrationsTableName: 'orm_migrations',
  poolSize: 2,
})

const shown = ({ id, name, email, phone, plan }: Customer) => [id, name, email, phone, plan]

async function reflection() {
  const runner = source.createQueryRunner()
  try {
    const tables = await runner.getTables([
      'employees',
      'customers',
      'payment_methods',
      'invoices',
      'api_keys',
      'support_tickets',
    ])
    const view = await runner.hasTable('customer_balance')
    return {
      tables: tables.map(({ name, columns, indices, foreignKeys, uniques, checks }) => ({
        name,
        columns: columns.map((each) => [each.name, each.type, each.isNullable, each.default ?? null]),
        more: [indices, foreignKeys, uniques, checks].map((list) => list.map((each) => each.name)),
      })),
      view,
      schemas: await runner.getSchemas(),
      has: [await runner.hasColumn('customers', 'email'), await runner.hasTable('nothing')],
    }
  } finally {
    await runner.release()
  }
}

async function migrate() {
  const ran = await source.runMigrations({ transaction: 'each' })
  const { upQueries } = await source.driver.createSchemaBuilder().log()
  await source.synchronize()
  const after = await source.driver.createSchemaBuilder().log()
  return {
    ran: ran.map(({ name }) => name),
    missing: upQueries.map(({ query }) => query),
    after: after.upQueries.map(({ query }) => query),
    pending: await source.showMigrations(),
  }
}

async function rows() {
  const customers = source.getRepository(CustomerEntity)
  const invoices = source.getRepository(InvoiceEntity)
  const order = { id: 'ASC' } as const
  const [page, total] = await customers.findAndCount({ order, skip: 4, take: 3 })
  const joined = await customers.find({
    relations: { invoices: true },
    where: { id: In([1, 2, 3]) },
    order: { id: 'ASC', invoices: { id: 'ASC' } },
  })
  return {
    one: shown(await customers.findOneByOrFail({ id: 1 })),
    page: page.map(shown),
    total,
    known: await customers.findOneBy({ email: 'nobody@app.example' }),
    exists: await customers.existsBy({ email: In(['a@app.example', 'b@app.example']) }),
    silent: await customers.countBy({ phone: IsNull() }),
    spoken: await customers.countBy({ phone: Not(IsNull()) }),
    joined: joined.map((each) => [shown(each), each.invoices?.map(({ number }) => number)]),
    // A page of joined rows: TypeORM asks for DISTINCT ids first.
    paged: (await customers.find({ relations: { invoices: true }, order, take: 2 })).map(shown),
    owners: (await invoices.find({ relations: { customer: true }, order, take: 3 })).map((each) => [
      each.number,
      each.customer?.email,
    ]),
    plans: await customers
      .createQueryBuilder('c')
      .innerJoin('c.invoices', 'i')
      .select('c.plan', 'plan')
      .addSelect('SUM(i.amount)', 'sum')
      .groupBy('c.plan')
      .orderBy('c.plan')
      .getRawMany(),
    sum: await invoices.sum('amount' as never, { status: 'paid' }),
    sub: await customers
      .createQueryBuilder('c')
      .where((builder) => {
        const inner = builder.subQuery().select('i.customer_id').from(InvoiceEntity, 'i')
        return `c.id IN ${inner.where('i.status = :status').getQuery()}`
      })
      .setParameter('status', 'overdue')
      .orderBy('c.id')
      .limit(3)
      .getMany()
      .then((found) => found.map(shown)),
    raw: await source.query('SELECT id, plan FROM customers WHERE id = $1', [2]),
  }
}

async function writes() {
  const customers = source.getRepository(CustomerEntity)
  const invoices = source.getRepository(InvoiceEntity)
  const email = 'new.qzvmail1@app.example'
  const made = await customers.save({
    name: 'New qzvname Person',
    email,
    phone: '+1 qzvphone1',
    company: 'App',
    plan: 'free',
    country: 'DE',
  })
  const again = shown(await customers.findOneByOrFail({ email })).slice(1)
  await customers.update({ id: made.id }, { plan: 'team', phone: '+1 qzvphone2' })
  await invoices.insert(
    [0, 1, 2].map((n) => ({
      number: `APP-${n}`,
      amount: String(n),
      currency: 'EUR',
      status: 'open',
      issued_on: '2024-01-02',
      customer: made,
    })),
  )
  const changed = await invoices.increment({ customer: { id: made.id } }, 'amount', 1)
  const failure = await customers
    .insert({ name: 'Twice', email, company: 'App', plan: 'free', country: 'DE' })
    .then(
      () => 'none',
      (error: unknown) => (error instanceof QueryFailedError ? error.driverError.code : String(error)),
    )
  const undone = await source
    .transaction(async (manager) => {
      await manager.update(CustomerEntity, made.id, { plan: 'business' })
      await manager.transaction(async (inner) => inner.insert(TaskEntity, { title: 'never' }))
      throw new Error('on purpose')
    })
    .catch(String)
  const { plan } = await customers.findOneByOrFail({ id: made.id })
  const tasks = source.getRepository(TaskEntity)
  await tasks.save([{ title: 'one', tags: ['a'] }, { title: 'two' }])
  await tasks.upsert([{ id: 1, title: 'one again' }], ['id'])
  const found = await tasks.find({ order: { id: 'ASC' } })
  await tasks.clear()
  const removed = (await invoices.delete({ customer: { id: made.id } })).affected
  await customers.delete({ id: made.id })
  return { again, changed: changed.affected, failure, undone, plan, found, removed }
}

async function takeBack() {
  await source.undoLastMigration()
  await source.query('DROP TABLE "orm_migrations"')
  return source.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
}

const steps: Record<string, Step> = { reflection, migrate, rows, writes, takeBack }
await source.initialize()
try {
  await report(steps)
} finally {
  await source.destroy()
}
