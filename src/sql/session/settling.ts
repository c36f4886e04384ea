import type { Node } from 'libpg-query'

/**
 * Whether a server runs this only outside of transaction blocks, and as the first of what it would commit together, and
 * commits it at once: nothing behind it takes it back. What the server lets stand in a block (REINDEX TABLE, CLUSTER of one
 * table, ANALYZE) is none of it, whatever it does elsewhere. In the server's words: PreventInTransactionBlock.
 */
export function settles(node: Node): boolean {
  if ('VacuumStmt' in node) return node.VacuumStmt.is_vacuumcmd === true
  if ('DiscardStmt' in node) return (node.DiscardStmt.target ?? 'DISCARD_ALL') === 'DISCARD_ALL'
  if ('ReindexStmt' in node) {
    const { kind, params } = node.ReindexStmt
    return (kind !== undefined && WHOLE_REINDEX.has(kind)) || hasOption(params, 'concurrently')
  }
  if ('ClusterStmt' in node) return node.ClusterStmt.relation === undefined
  if ('IndexStmt' in node) return node.IndexStmt.concurrent === true
  if ('DropStmt' in node) return node.DropStmt.concurrent === true
  if ('AlterDatabaseStmt' in node) return hasOption(node.AlterDatabaseStmt.options, 'tablespace')
  if ('TransactionStmt' in node) return PREPARED.has(node.TransactionStmt.kind ?? '')
  if ('AlterTableStmt' in node) return (node.AlterTableStmt.cmds ?? []).some(detachesConcurrently)
  return ALWAYS.some((kind) => kind in node)
}

const WHOLE_REINDEX: ReadonlySet<string> = new Set([
  'REINDEX_OBJECT_SCHEMA',
  'REINDEX_OBJECT_SYSTEM',
  'REINDEX_OBJECT_DATABASE',
])

const PREPARED: ReadonlySet<string> = new Set(['TRANS_STMT_COMMIT_PREPARED', 'TRANS_STMT_ROLLBACK_PREPARED'])

const ALWAYS = [
  'CreatedbStmt',
  'DropdbStmt',
  'AlterSystemStmt',
  'CreateTableSpaceStmt',
  'DropTableSpaceStmt',
] as const

/** Options such as `(CONCURRENTLY false)` count as given: whatever they say, they are not followed further. */
function hasOption(options: readonly Node[] | undefined, name: string): boolean {
  return (options ?? []).some((each) => 'DefElem' in each && each.DefElem.defname?.toLowerCase() === name)
}

function detachesConcurrently(node: Node): boolean {
  if (!('AlterTableCmd' in node)) return false
  const { subtype, def } = node.AlterTableCmd
  return (
    subtype === 'AT_DetachPartition' &&
    def !== undefined &&
    'PartitionCmd' in def &&
    def.PartitionCmd.concurrent === true
  )
}
