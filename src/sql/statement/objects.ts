import type { DefElem, Node, ObjectType } from 'libpg-query'
import type { QualifiedName } from '../parse/tree.ts'
import { qualifiedName } from '../parse/tree.ts'

/**
 * Relations that a definition names without a node that is a relation's: `DROP TABLE`, `COMMENT ON COLUMN`, `DROP
 * TRIGGER t ON ...` and their like hold plain lists of strings. All of them are changed by it.
 */
export function objectsOf(node: Node): readonly QualifiedName[] {
  if ('DropStmt' in node) {
    const { removeType, objects } = node.DropStmt
    return (objects ?? []).flatMap((object) => named(removeType, object))
  }
  if ('CommentStmt' in node) return named(node.CommentStmt.objtype, node.CommentStmt.object)
  if ('SecLabelStmt' in node) return named(node.SecLabelStmt.objtype, node.SecLabelStmt.object)
  if ('AlterExtensionContentsStmt' in node) {
    const { objtype, object } = node.AlterExtensionContentsStmt
    return named(objtype, object)
  }
  if ('CreateSeqStmt' in node) return owners(node.CreateSeqStmt.options)
  return 'AlterSeqStmt' in node ? owners(node.AlterSeqStmt.options) : []
}

/** What a list of names of an object of this type says: the relation, or first the relation and then a part of it. */
const PARTS: ReadonlyMap<ObjectType | undefined, 'whole' | 'part'> = new Map<
  ObjectType | undefined,
  'whole' | 'part'
>([
  ['OBJECT_TABLE', 'whole'],
  ['OBJECT_VIEW', 'whole'],
  ['OBJECT_MATVIEW', 'whole'],
  ['OBJECT_FOREIGN_TABLE', 'whole'],
  ['OBJECT_SEQUENCE', 'whole'],
  ['OBJECT_COLUMN', 'part'],
  ['OBJECT_TABCONSTRAINT', 'part'],
  ['OBJECT_TRIGGER', 'part'],
  ['OBJECT_RULE', 'part'],
  ['OBJECT_POLICY', 'part'],
])

function named(type: ObjectType | undefined, object: Node | undefined): readonly QualifiedName[] {
  const kind = PARTS.get(type)
  if (kind === undefined || object === undefined || !('List' in object)) return []
  const items = object.List.items ?? []
  const name = qualifiedName(kind === 'whole' ? items : items.slice(0, -1))
  return name === undefined ? [] : [name]
}

/** `OWNED BY table.column`; NONE is a single name. */
function owners(options: readonly Node[] | undefined): readonly QualifiedName[] {
  return (options ?? []).flatMap((option) => ('DefElem' in option ? owner(option.DefElem) : []))
}

function owner({ defname, arg }: DefElem): readonly QualifiedName[] {
  if (defname !== 'owned_by' || arg === undefined || !('List' in arg)) return []
  const name = qualifiedName((arg.List.items ?? []).slice(0, -1))
  return name === undefined ? [] : [name]
}
