import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Facts, LabelName } from '../../../core/index.ts'
import { brand, GatewayError } from '../../../core/index.ts'
import { ownJudgement } from '../../../session/index.ts'
import type { SqlAnalyser } from '../../../sql/index.ts'
import { createSqlAnalyser } from '../../../sql/index.ts'
import { looksMasked, WriteBack } from './write-back.ts'

const EMAIL = brand<LabelName>('pii.email')

let analyser: SqlAnalyser

beforeAll(async () => {
  analyser = await createSqlAnalyser()
})
afterAll(() => analyser.close())

function check(
  text: string,
  parameters?: readonly (Buffer | null)[],
  stores: Facts['stores'] = [EMAIL],
): void {
  const guard = new WriteBack({
    parse: (sql) => analyser.parse(sql),
    recognises: (value) => looksMasked(value),
  })
  const own = ownJudgement('')
  guard.check({ text, judgement: { ...own, facts: { ...own.facts, stores } } }, parameters)
}

describe('writing masked values back', () => {
  it.each([
    "UPDATE customers SET email = '[masked]' WHERE id = 1",
    "UPDATE customers SET email = 'c***@example.com'",
    "INSERT INTO customers (id, email) VALUES (1, 'a@b.c'), (2, '****1234')",
    'UPDATE customers SET email = $x$ab***$x$',
    "UPDATE customers SET email = E'\\x5bmasked]'",
    `UPDATE customers SET email = '[masked]' -- ${'x'.repeat(70_000)}`,
  ])('is refused: %#', (sql) => {
    expect(() => check(sql)).toThrow(GatewayError)
    expect(() => check(sql)).toThrow(/^Do not write masked values back/)
  })

  it('is refused in parameters', () => {
    const sql = 'UPDATE customers SET email = $1 WHERE id = $2'
    expect(() => check(sql, [Buffer.from('[masked]'), null])).toThrow(/pii\.email/)
    expect(() => check(sql, [Buffer.from('c@example.com'), null])).not.toThrow()
  })

  it('does not repeat the value', () => {
    expect(() => check("UPDATE customers SET email = 'c***@example.com'")).toThrow(/^(?!.*c\*\*\*)/)
  })

  it.each([
    "UPDATE customers SET email = 'c@example.com', name = 'a * b ** c'",
    "UPDATE customers SET email = 'masked'",
    'INSERT INTO customers (id, email) VALUES (1, NULL)',
  ])('is not meant: %s', (sql) => {
    expect(() => check(sql)).not.toThrow()
  })

  it('is of no concern where nothing labelled is written', () => {
    expect(() => check("UPDATE notes SET a = '[masked]'", undefined, [])).not.toThrow()
  })
})
