/** Ordinary applications, one on each framework, as programs that take a DSN and print what they saw. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { run } from '../support/process.ts'

const path = (name: string) => fileURLToPath(new URL(`apps/${name}`, import.meta.url))

const KIT = fileURLToPath(new URL('../../node_modules/drizzle-kit/bin.cjs', import.meta.url))

export type Seen = Readonly<Record<string, unknown>>

/** Debian's modules belong to Debian's interpreters, whatever is first on the PATH. */
const PROGRAMS = {
  SQLAlchemy: ['/usr/bin/python3', path('sqlalchemy_app.py')],
  Django: ['/usr/bin/python3', path('django_app.py')],
  ActiveRecord: ['/usr/bin/ruby', path('active_record_app.rb')],
  TypeORM: [process.execPath, path('typeorm-app.ts')],
} as const satisfies Readonly<Record<string, readonly [string, string]>>

async function program(name: keyof typeof PROGRAMS, dsn: string): Promise<Seen> {
  const [command, file] = PROGRAMS[name]
  const env = { SLUICE_TEST_DSN: dsn, PYTHONDONTWRITEBYTECODE: '1' }
  const done = await run(command, [file], { env, msMax: 100_000 })
  if (done.code !== 0) throw new Error(`${name} ended with ${done.code}: ${done.stderr}\n${done.stdout}`)
  return JSON.parse(done.stdout)
}

/** drizzle-kit is a tool and no library: it is run as people run it, and what it writes and says is what it saw. */
async function drizzleKit(dsn: string): Promise<Seen> {
  const place = await mkdtemp(join(tmpdir(), 'sluice-drizzle-'))
  const kit = async (schema: string, ...args: string[]) => {
    const env = { SLUICE_TEST_DSN: dsn, SLUICE_TEST_SCHEMA: path(`drizzle/${schema}`), NO_COLOR: '1' }
    const done = await run(process.execPath, [KIT, ...args], { env, cwd: place })
    const said = `${done.stdout}\n${done.stderr}`
    if (done.code !== 0) throw new Error(`drizzle-kit ${args[0]} ended with ${done.code}: ${said}`)
    // Without the wheel that turns while one waits.
    return said.match(/\[[✓i]\] .*/g) ?? []
  }
  const query = async (...statements: string[]) => {
    const client = new Client({ connectionString: dsn })
    await client.connect()
    try {
      let rows: unknown[] = []
      for (const each of statements) rows = (await client.query(each)).rows
      return rows
    } finally {
      await client.end()
    }
  }
  const config = ['--config', path('drizzle/config.ts')]
  try {
    await kit('schema.ts', 'pull', '--dialect', 'postgresql', '--url', dsn, '--out', 'pulled')
    await kit('schema.ts', 'generate', '--name', 'start', ...config)
    return {
      pulled: [
        await written(join(place, 'pulled/schema.ts')),
        await written(join(place, 'pulled/relations.ts')),
      ],
      migrated: await kit('schema.ts', 'migrate', ...config),
      pushed: await kit('schema-more.ts', 'push', '--force', ...config),
      columns: await query(
        `SELECT table_name, column_name, data_type, column_default FROM information_schema.columns
          WHERE table_name LIKE 'kit%' ORDER BY 1, ordinal_position`,
      ),
      indexes: await query(
        `SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'kit%' ORDER BY 1`,
      ),
      takeBack: await query(
        'DROP TABLE kit_tasks, kit_projects',
        'DROP TYPE kit_state',
        'DROP SCHEMA drizzle CASCADE',
        `SELECT count(*) FROM pg_class WHERE relname LIKE 'kit%'`,
      ),
    }
  } finally {
    await rm(place, { recursive: true, force: true })
  }
}

async function written(file: string): Promise<string[]> {
  return (await readFile(file, 'utf8')).split('\n')
}

export const APPS: Readonly<Record<string, (dsn: string) => Promise<Seen>>> = {
  SQLAlchemy: async (dsn) => program('SQLAlchemy', dsn),
  Django: async (dsn) => program('Django', dsn),
  ActiveRecord: async (dsn) => program('ActiveRecord', dsn),
  TypeORM: async (dsn) => program('TypeORM', dsn),
  'drizzle-kit': drizzleKit,
}
