import type { Node } from 'libpg-query'
import type { ParseResult } from './parser.ts'
import { qualifiedName } from './tree.ts'

/** What a batch leaves behind in its session that later statements may name. */
export type SessionEffects = {
  /** Relations and types it makes, by their bare names: for `AnalysisContext.created`. */
  readonly created: readonly string[]
  /** Cursors it declares: for `AnalysisContext.cursors`, if its facts had no escape. */
  readonly cursors: readonly string[]
}

const NONE: SessionEffects = { created: [], cursors: [] }

export function sessionEffects(parsed: ParseResult): SessionEffects {
  if (parsed.kind !== 'parsed') return NONE
  const created: string[] = []
  const cursors: string[] = []
  for (const { stmt } of parsed.tree.stmts ?? []) {
    if (stmt === undefined) continue
    const name = madeBy(stmt)
    if (name !== undefined) created.push(name)
    if ('DeclareCursorStmt' in stmt && stmt.DeclareCursorStmt.portalname !== undefined) {
      cursors.push(stmt.DeclareCursorStmt.portalname)
    }
  }
  return created.length === 0 && cursors.length === 0 ? NONE : { created, cursors }
}

function madeBy(node: Node): string | undefined {
  if ('CreateStmt' in node) return node.CreateStmt.relation?.relname
  if ('CreateTableAsStmt' in node) return node.CreateTableAsStmt.into?.rel?.relname
  if ('SelectStmt' in node) return node.SelectStmt.intoClause?.rel?.relname
  if ('ViewStmt' in node) return node.ViewStmt.view?.relname
  if ('CreateSeqStmt' in node) return node.CreateSeqStmt.sequence?.relname
  if ('CompositeTypeStmt' in node) return node.CompositeTypeStmt.typevar?.relname
  if ('CreateEnumStmt' in node) return qualifiedName(node.CreateEnumStmt.typeName)?.name
  if ('CreateDomainStmt' in node) return qualifiedName(node.CreateDomainStmt.domainname)?.name
  if ('RenameStmt' in node && node.RenameStmt.relation !== undefined) return node.RenameStmt.newname
  return undefined
}
