import type { Facts } from '../../core/command.ts'
import type { Countable } from '../../core/effect.ts'
import type { ParseResult } from '../parse/parser.ts'
import { kindOf } from '../parse/tree.ts'
import { survey } from './survey.ts'

/** Statements that change rows and nothing else. None of them can commit, and all of them can be rolled back. */
const CHANGES_ROWS: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

/** Functions of the server's own whose work stays when all else is rolled back. What nextval gives out stays given out, too. */
const NOT_UNDONE: ReadonlySet<string> = new Set(['setval'])

/**
 * Whether it can be counted what a command changes, before that takes effect: of one INSERT, UPDATE, DELETE or MERGE, or a
 * query with such parts, that runs no code of which nobody knows what it does. A list of what can, never of what cannot: a statement
 * that commits by itself (VACUUM, CREATE DATABASE, CONCURRENTLY, CALL, DO) would have taken effect before it is counted.
 */
export function countableOf(parsed: ParseResult, facts: Facts): Countable {
  if (parsed.kind !== 'parsed') return not('it cannot be read')
  const statements = parsed.tree.stmts ?? []
  if (statements.length !== 1) return not('it is more than one statement: send each by itself')
  const node = statements[0]?.stmt
  if (node === undefined) return not('it is empty')
  const kind = kindOf(node)
  if (facts.class === 'opaque') return not('it runs code of which it is not known what it does')
  const kept = facts.calls.find((name) => NOT_UNDONE.has(name))
  if (kept !== undefined) return not(`what ${kept} does is not undone by a rollback`)
  if (CHANGES_ROWS.has(kind))
    return facts.class === 'write' ? { can: true } : not('it does more than change rows')
  if (kind !== 'SelectStmt') {
    return facts.class === 'read'
      ? not('it changes no rows')
      : not('it does more than change rows, or commits by itself')
  }
  const { nested, into } = survey(node)
  if (into || facts.class !== 'write') {
    return facts.class === 'read' ? not('it changes no rows') : not('it does more than change rows')
  }
  return [...nested].some((each) => CHANGES_ROWS.has(each))
    ? { can: true }
    : not('it changes no rows of tables')
}

function not(why: string): Countable {
  return { can: false, why }
}
