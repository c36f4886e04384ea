import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CopyForm } from '../../core/command.ts'
import { copyForm, copyInForm } from './copy-form.ts'
import type { Parser } from '../parse/parser.ts'
import { createParser } from '../parse/parser.ts'

let parser: Parser

beforeAll(async () => {
  parser = await createParser()
})

afterAll(() => parser.close())

async function formOf(sql: string, read = copyForm): Promise<CopyForm | undefined> {
  const parsed = await parser.parse(sql)
  if (parsed.kind !== 'parsed') throw new Error('not parsed')
  const [first] = parsed.tree.stmts ?? []
  const node = first?.stmt
  if (node === undefined || !('CopyStmt' in node)) throw new Error('not a COPY')
  return read(node.CopyStmt)
}

const TEXT: CopyForm = { kind: 'text', delimiter: '\t', null: '\\N', header: false }
const CSV: CopyForm = { kind: 'csv', delimiter: ',', null: '', header: false, quote: '"', escape: '"' }

describe('the form of the rows of COPY', () => {
  it.each<[string, CopyForm]>([
    ['COPY t TO STDOUT', TEXT],
    ['COPY t (a, b) TO STDOUT', TEXT],
    ['COPY (SELECT 1) TO STDOUT WITH (FORMAT text)', TEXT],
    ["COPY t TO STDOUT DELIMITER '|' NULL AS ''", { ...TEXT, delimiter: '|', null: '' }],
    ["COPY t TO STDOUT USING DELIMITERS ';'", { ...TEXT, delimiter: ';' }],
    ["COPY t TO STDOUT (NULL 'NULL')", { ...TEXT, null: 'NULL' }],
    ["COPY t TO STDOUT (FORMAT csv, NULL 'ada@example.com')", { ...CSV, null: 'ada@example.com' }],
    ['COPY t TO STDOUT WITH (HEADER)', { ...TEXT, header: true }],
    ['COPY t TO STDOUT WITH (HEADER true)', { ...TEXT, header: true }],
    ['COPY t TO STDOUT WITH (HEADER ON)', { ...TEXT, header: true }],
    ['COPY t TO STDOUT WITH (HEADER 1)', { ...TEXT, header: true }],
    ['COPY t TO STDOUT WITH (HEADER 0)', TEXT],
    ['COPY t TO STDOUT WITH (HEADER "False")', TEXT],
    ['COPY t TO STDOUT CSV', CSV],
    ['COPY t TO STDOUT CSV HEADER', { ...CSV, header: true }],
    ["COPY t TO STDOUT CSV QUOTE '''' FORCE QUOTE *", { ...CSV, quote: "'", escape: "'" }],
    ["COPY t TO STDOUT WITH (FORMAT csv, ESCAPE '\\', FORCE_QUOTE (a))", { ...CSV, escape: '\\' }],
    [
      "COPY t TO STDOUT (FORMAT csv, DELIMITER E'\\t', NULL 'NULL')",
      { ...CSV, delimiter: '\t', null: 'NULL' },
    ],
    ['COPY t TO STDOUT (FORMAT binary)', { kind: 'binary' }],
    ['COPY BINARY t TO STDOUT', { kind: 'binary' }],
    ['COPY t TO STDOUT BINARY', { kind: 'binary' }],
    ["COPY t TO STDOUT (ENCODING 'UTF8')", TEXT],
    ["COPY t TO STDOUT ENCODING 'utf-8'", TEXT],
  ])('%s', async (sql, form) => expect(await formOf(sql)).toEqual(form))

  it.each([
    'COPY t FROM STDIN',
    "COPY t TO '/tmp/t'",
    "COPY t TO PROGRAM 'cat'",
    "COPY t TO STDOUT (ENCODING 'LATIN1')",
    "COPY t TO STDOUT (FORMAT 'json')",
    'COPY t TO STDOUT (HEADER match)',
    'COPY t TO STDOUT (HEADER 2)',
    'COPY t TO STDOUT (FORMAT csv, FORMAT text)',
    "COPY t TO STDOUT (DELIMITER '||')",
    "COPY t TO STDOUT (DELIMITER 'ä')",
    "COPY t TO STDOUT (DELIMITER '')",
    "COPY t TO STDOUT (FORMAT csv, QUOTE '')",
    "COPY t TO STDOUT (NULL 'ada@example.com')",
    "COPY t TO STDOUT NULL 'x'",
    'COPY t TO STDOUT (SOMETHING new)',
    'COPY t TO STDOUT (FREEZE)',
    'COPY t TO STDOUT (DELIMITER 1.5)',
  ])('%s has none that is known', async (sql) => expect(await formOf(sql)).toBeUndefined())
})

describe('the form of the rows that COPY reads', () => {
  it.each<[string, CopyForm]>([
    ['COPY t FROM STDIN', TEXT],
    ["COPY t FROM STDIN (NULL 'ada@example.com')", { ...TEXT, null: 'ada@example.com' }],
    ['COPY t (a) FROM STDIN WITH (HEADER match, FREEZE)', { ...TEXT, header: true }],
    ["COPY t FROM STDIN (FORMAT csv, DEFAULT '-', FORCE_NULL (a), FORCE_NOT_NULL (b))", CSV],
    ['COPY t FROM STDIN (FORMAT csv, ON_ERROR ignore, REJECT_LIMIT 3, LOG_VERBOSITY verbose)', CSV],
    ["COPY t FROM STDIN (FORMAT binary, ENCODING 'LATIN1')", { kind: 'binary' }],
    ["COPY t FROM STDIN (ENCODING 'ISO_8859-5')", TEXT],
    ["COPY t FROM STDIN (ENCODING 'Windows-1252')", TEXT],
    ["COPY t FROM STDIN (ENCODING 'EUC_JP')", TEXT],
    ['COPY t FROM STDIN CSV QUOTE $$x$$', { ...CSV, quote: 'x', escape: 'x' }],
  ])('%s', async (sql, form) => expect(await formOf(sql, copyInForm)).toEqual(form))

  it.each([
    "COPY t FROM '/tmp/t'",
    "COPY t FROM PROGRAM 'cat'",
    ...['SJIS', 'Shift_JIS_2004', 'BIG5', 'GBK', 'GB18030', 'UHC', 'JOHAB', 'WIN932', 'Windows949', '6'].map(
      (encoding) => `COPY t FROM STDIN (ENCODING '${encoding}')`,
    ),
    'COPY t FROM STDIN (SOMETHING new)',
    'COPY t FROM STDIN (HEADER 2)',
    "COPY t FROM STDIN (FORMAT 'json')",
  ])('%s has none that is known', async (sql) => expect(await formOf(sql, copyInForm)).toBeUndefined())
})
