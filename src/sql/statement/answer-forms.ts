import type { Node } from 'libpg-query'
import type { ParseResult } from '../parse/parser.ts'

/**
 * What a server answers one statement with: it takes rows of COPY, sends rows of COPY, says that what stands before is
 * committed, or does none of it.
 */
export type AnswerForm = 'takes copy' | 'sends copy' | 'commits' | 'plain'

/** In the order of the statements. Undefined: nobody knows how many there are, or what is among them. */
export function answerForms(parsed: ParseResult): readonly AnswerForm[] | undefined {
  if (parsed.kind !== 'parsed') return undefined
  return (parsed.tree.stmts ?? []).flatMap(({ stmt }) => (stmt === undefined ? [] : formOf(stmt)))
}

function formOf(node: Node): AnswerForm {
  if ('TransactionStmt' in node) return COMMITTING.has(node.TransactionStmt.kind ?? '') ? 'commits' : 'plain'
  // Inside of other statements, and of functions, COPY reaches no client.
  if (!('CopyStmt' in node)) return 'plain'
  const { is_from, is_program, filename } = node.CopyStmt
  if (is_program === true || filename !== undefined) return 'plain'
  return is_from === true ? 'takes copy' : 'sends copy'
}

const COMMITTING: ReadonlySet<string> = new Set([
  'TRANS_STMT_COMMIT',
  'TRANS_STMT_PREPARE',
  'TRANS_STMT_COMMIT_PREPARED',
])
