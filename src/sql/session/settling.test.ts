import { describe, expect, it } from 'vitest'
import { lendParserInstance } from '../../testing/lent-parsers.ts'
import { createParser } from '../parse/parser.ts'
import { settles } from './settling.ts'

async function settlesOf(text: string): Promise<boolean> {
  const parser = await createParser(lendParserInstance)
  const parsed = await parser.parse(text)
  const stmt = parsed.kind === 'parsed' ? parsed.tree.stmts?.[0]?.stmt : undefined
  if (stmt === undefined) throw new Error(`${text} does not parse`)
  return settles(stmt)
}

describe('what a server commits as soon as it has run', () => {
  it.each([
    'DISCARD ALL',
    'VACUUM',
    'VACUUM notes',
    'VACUUM (ANALYZE, VERBOSE) notes',
    'CREATE DATABASE d',
    'DROP DATABASE d',
    'ALTER DATABASE d SET TABLESPACE t',
    "CREATE TABLESPACE t LOCATION '/t'",
    'DROP TABLESPACE t',
    "ALTER SYSTEM SET work_mem = '4MB'",
    'REINDEX SCHEMA public',
    'REINDEX DATABASE d',
    'REINDEX SYSTEM d',
    'REINDEX TABLE CONCURRENTLY notes',
    'REINDEX (CONCURRENTLY) INDEX i',
    'CLUSTER',
    'CREATE INDEX CONCURRENTLY i ON notes (n)',
    'DROP INDEX CONCURRENTLY i',
    'ALTER TABLE a DETACH PARTITION b CONCURRENTLY',
    "COMMIT PREPARED 'x'",
    "ROLLBACK PREPARED 'x'",
  ])('%s', async (text) => expect(await settlesOf(text)).toBe(true))
})

describe('what it lets stand in a transaction block, and takes back with it', () => {
  it.each([
    'ANALYZE',
    'ANALYZE notes',
    'REINDEX TABLE notes',
    'REINDEX INDEX i',
    'CLUSTER notes',
    'CLUSTER notes USING i',
    'CREATE INDEX i ON notes (n)',
    'DROP INDEX i',
    'DROP TABLE notes',
    'DISCARD TEMP',
    'DISCARD PLANS',
    'DISCARD SEQUENCES',
    'ALTER DATABASE d CONNECTION LIMIT 3',
    'ALTER TABLE a DETACH PARTITION b',
    "PREPARE TRANSACTION 'x'",
    'CHECKPOINT',
    'LOCK notes',
    'TRUNCATE notes',
    'SELECT 1',
  ])('%s', async (text) => expect(await settlesOf(text)).toBe(false))
})
