import type {
  AlterTableCmd,
  AlterTableStmt,
  Constraint,
  CreateStmt,
  DropStmt,
  IndexStmt,
  Node,
  ObjectType,
  RangeVar,
  RenameStmt,
} from 'libpg-query'
import { guardedColumnRead } from '../builtins/system-columns.ts'
import type { Relation } from '../catalogue/catalogue.ts'
import { isPlainTable, labelsOf, labelsOfColumn } from '../catalogue/catalogue.ts'
import { isTemporary } from '../session/effects.ts'
import type { Findings } from './findings.ts'
import type { Names } from '../session/names.ts'
import { kindOf, stringsOf } from '../parse/tree.ts'

/**
 * Definition commands on a connection with labels. A definition is a way for a labelled value to flow on (a view, a
 * generated column, a function) or for a name to change its meaning behind the gateway's back. Allowed is what can do
 * neither; everything else is an escape.
 *
 * Functions, operators and types in the statement have been looked at before; here it is about relations and names.
 */
export function checkDefinition(node: Node, names: Names, findings: Findings): void {
  const check = new Definition(names, findings)
  if ('CreateStmt' in node) return check.table(node.CreateStmt)
  // Their queries have been followed.
  if ('CreateTableAsStmt' in node) return check.made(node.CreateTableAsStmt.into?.rel)
  if ('ViewStmt' in node) return check.made(node.ViewStmt.view)
  if ('RuleStmt' in node) return check.outOfReach(node)
  if ('CreateStatsStmt' in node) return check.outOfReach(node)
  if ('IndexStmt' in node) return check.index(node.IndexStmt)
  if ('AlterTableStmt' in node) return check.alterTable(node.AlterTableStmt)
  if ('DropStmt' in node) return check.drop(node.DropStmt)
  if ('RenameStmt' in node) return check.rename(node.RenameStmt)
  if ('AlterObjectSchemaStmt' in node) {
    const { objectType, relation } = node.AlterObjectSchemaStmt
    return check.move(objectType, relation)
  }
  if ('CreateSchemaStmt' in node && node.CreateSchemaStmt.schemaElts === undefined) return
  if ('CreateSeqStmt' in node) return check.made(node.CreateSeqStmt.sequence)
  if ('CompositeTypeStmt' in node || 'CreateEnumStmt' in node || 'CreateDomainStmt' in node) return
  if ('AlterSeqStmt' in node || 'AlterEnumStmt' in node || 'CommentStmt' in node) return
  findings.escapeAll(
    `Leave ${kindOf(node).replace(/Stmt$/, '')} to who may see all protected values: its effect is not followed.`,
  )
}

/** Kinds of objects that are found by name in the search path like tables. */
const RELATIONS: ReadonlySet<ObjectType | undefined> = new Set<ObjectType | undefined>([
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_SEQUENCE',
  'OBJECT_INDEX',
  'OBJECT_FOREIGN_TABLE',
])

/** Dropping them takes a meaning away and gives no name another: what the catalogue still believes is stricter. */
const DROPPABLE: ReadonlySet<ObjectType | undefined> = new Set<ObjectType | undefined>([
  'OBJECT_AGGREGATE',
  'OBJECT_CAST',
  'OBJECT_COLLATION',
  'OBJECT_CONVERSION',
  'OBJECT_DOMAIN',
  'OBJECT_FUNCTION',
  'OBJECT_OPERATOR',
  'OBJECT_POLICY',
  'OBJECT_PROCEDURE',
  'OBJECT_ROUTINE',
  'OBJECT_RULE',
  'OBJECT_SCHEMA',
  'OBJECT_STATISTIC_EXT',
  'OBJECT_TRIGGER',
  'OBJECT_TYPE',
])

/** Changes of a labelled table that show no value and leave its names and its labelled columns as they are. */
const PLAIN_CHANGES: ReadonlySet<string | undefined> = new Set<string | undefined>([
  'AT_AddColumn',
  'AT_AddConstraint',
  'AT_ColumnDefault',
  'AT_DropColumn',
  'AT_DropConstraint',
  'AT_DropNotNull',
  'AT_SetNotNull',
  'AT_SetStatistics',
])

class Definition {
  readonly #names: Names
  readonly #findings: Findings

  constructor(names: Names, findings: Findings) {
    this.#names = names
    this.#findings = findings
  }

  /** What it makes is told by its effects, once it has been looked at. */
  made(relation: RangeVar | undefined): void {
    const name = relation?.relname
    if (name === undefined || !isTemporary(relation) || !this.#names.wouldShadow(name)) return
    this.#findings.escapeAll(
      `Give ${name} another name: a temporary relation of it would hide the one there is.`,
    )
  }

  /** A new table may point at a labelled one by a foreign key on columns without a label; nothing more. */
  table(statement: CreateStmt): void {
    for (const node of statement.inhRelations ?? []) if ('RangeVar' in node) this.#outOfReach(node.RangeVar)
    for (const element of statement.tableElts ?? []) {
      if ('TableLikeClause' in element) this.#outOfReach(element.TableLikeClause.relation)
      if ('Constraint' in element) this.#constraint(element.Constraint)
      if ('ColumnDef' in element) {
        for (const each of element.ColumnDef.constraints ?? []) {
          if ('Constraint' in each) this.#constraint(each.Constraint)
        }
      }
    }
    for (const each of statement.constraints ?? [])
      if ('Constraint' in each) this.#constraint(each.Constraint)
    this.made(statement.relation)
  }

  /** Nothing in the statement is in reach. */
  outOfReach(node: Node): void {
    const stack: unknown[] = [node]
    for (let each = stack.pop(); each !== undefined; each = stack.pop()) {
      if (typeof each !== 'object' || each === null) continue
      if ('relname' in each) {
        this.#outOfReach(each)
        this.#unguarded(node, each)
      }
      for (const value of Object.values(each)) stack.push(value)
    }
  }

  /** What is derived from a relation of the system leaves out what is not for everybody there. */
  #unguarded(node: Node, relation: object): void {
    const meaning = this.#meaning(relation)
    const column = meaning?.kind === 'system' ? guardedColumnRead(node, meaning.name) : undefined
    if (column !== undefined)
      this.#findings.escapeAll(`Derive nothing from ${column}: it is not for everybody.`)
  }

  index(statement: IndexStmt): void {
    const relation = this.#inReach(statement.relation)
    if (relation === undefined) return
    const elements = [...(statement.indexParams ?? []), ...(statement.indexIncludingParams ?? [])]
    const plain = elements.every((node) => {
      const { name, expr, opclass } = 'IndexElem' in node ? node.IndexElem : {}
      return expr === undefined && opclass === undefined && this.#isUnlabelled(relation, name)
    })
    if (plain && statement.whereClause === undefined && statement.excludeOpNames === undefined) return
    this.#refuse(relation, 'index only its unprotected columns')
  }

  alterTable(statement: AlterTableStmt): void {
    const relation = this.#inReach(statement.relation)
    for (const node of statement.cmds ?? []) {
      const command = 'AlterTableCmd' in node ? node.AlterTableCmd : {}
      const { def } = command
      if (def !== undefined && 'PartitionCmd' in def) this.#outOfReach(def.PartitionCmd.name)
      if (def !== undefined && 'RangeVar' in def) this.#outOfReach(def.RangeVar)
      if (relation !== undefined && !this.#isPlainChange(relation, command)) {
        this.#refuse(relation, 'add columns, defaults and keys only')
      }
      for (const each of constraintsOf(def)) this.#constraint(each)
    }
  }

  drop(statement: DropStmt): void {
    const { shadowed } = this.#names.catalogue
    const { removeType, objects } = statement
    if (!RELATIONS.has(removeType) && !DROPPABLE.has(removeType)) {
      return this.#findings.escapeAll(
        'Leave this DROP to who may see all protected values: its effect is not followed.',
      )
    }
    if (shadowed.size === 0) return
    // What else goes with it is not known.
    const certain = RELATIONS.has(removeType) && statement.behavior !== 'DROP_CASCADE'
    const uncovers = (objects ?? []).some((node) => {
      const parts = 'List' in node ? stringsOf(node.List.items) : undefined
      return shadowed.has(parts?.at(-1) ?? '')
    })
    if (uncovers || (!certain && removeType !== 'OBJECT_TRIGGER')) this.#uncovers()
  }

  rename(statement: RenameStmt): void {
    const { renameType, relation } = statement
    switch (renameType) {
      case 'OBJECT_TABCONSTRAINT':
      case 'OBJECT_TRIGGER':
      case 'OBJECT_POLICY':
        return
      case 'OBJECT_COLUMN':
        return this.#outOfReach(relation)
      default:
        this.move(renameType, relation)
    }
  }

  /** To another name or schema. */
  move(type: ObjectType | undefined, relation: RangeVar | undefined): void {
    if (!RELATIONS.has(type)) {
      return this.#findings.escapeAll(
        'Leave renaming this to who may see all protected values: it changes what names mean.',
      )
    }
    // Indexes are not in the catalogue; what is in it by that name counts, as it does for the server.
    if (type !== 'OBJECT_INDEX' || this.#meaning(relation)?.kind === 'relation') this.#outOfReach(relation)
    if (this.#names.catalogue.shadowed.has(relation?.relname ?? '')) this.#uncovers()
  }

  #uncovers(): void {
    this.#findings.escapeAll(
      'Leave this to who may see all protected values: another table of that name would be uncovered.',
    )
  }

  #isPlainChange(relation: Relation, command: AlterTableCmd): boolean {
    if (!isPlainTable(relation) || !PLAIN_CHANGES.has(command.subtype)) return false
    if (command.subtype === 'AT_SetNotNull' || command.subtype === 'AT_DropNotNull') {
      return this.#isUnlabelled(relation, command.name)
    }
    return constraintsOf(command.def).every((each) =>
      isPlainConstraint(each, (name) => this.#isUnlabelled(relation, name)),
    )
  }

  /** A foreign key checks values against those of another table, and says which were not found there. */
  #constraint(constraint: Constraint): void {
    const target = this.#inReach(constraint.pktable)
    if (target === undefined) return
    const columns = stringsOf(constraint.pk_attrs) ?? []
    if (columns.length > 0 && columns.every((name) => this.#isUnlabelled(target, name))) return
    this.#refuse(target, 'reference named columns of it that are not protected')
  }

  #isUnlabelled(relation: Relation, name: string | undefined): boolean {
    const column = relation.columns.find((each) => each.name === name)
    return column !== undefined && labelsOfColumn(column).length === 0
  }

  #meaning(relation: object | undefined): ReturnType<Names['relation']> | undefined {
    if (relation === undefined || !('relname' in relation) || typeof relation.relname !== 'string')
      return undefined
    const schema =
      'schemaname' in relation && typeof relation.schemaname === 'string' ? relation.schemaname : undefined
    return this.#names.relation({ name: relation.relname, ...(schema === undefined ? {} : { schema }) })
  }

  /** The relation if it is in labelled reach; one that is not known is an escape. */
  #inReach(relation: object | undefined): Relation | undefined {
    const meaning = this.#meaning(relation)
    if (meaning?.kind === 'unknown')
      this.#findings.escapeAll('Name a relation that exists: this one is not known here.')
    if (meaning?.kind !== 'relation') return undefined
    return this.#names.catalogue.reach.has(meaning.relation.oid) ? meaning.relation : undefined
  }

  #outOfReach(relation: object | undefined): void {
    const meaning = this.#meaning(relation)
    const reached = meaning?.kind === 'relation' && this.#names.catalogue.reach.has(meaning.relation.oid)
    if (reached) this.#refuse(meaning.relation, 'derive nothing from it')
    if (meaning?.kind === 'own' && meaning.near === true)
      this.#findings.escapeAll('Derive nothing more from this view: protected tables are behind it.')
    if (meaning?.kind === 'system' && !meaning.plain) {
      this.#findings.escapeAll(`Do not read ${meaning.schema}.${meaning.name}: it holds values or secrets.`)
    }
  }

  #refuse(relation: Relation, instead: string): void {
    const labels = labelsOf(relation)
    const reason = `Change ${relation.name} in another way: it holds protected values; ${instead}.`
    if (labels.length === 0) this.#findings.escapeAll(reason)
    else this.#findings.escape(labels, reason)
  }
}

function constraintsOf(def: Node | undefined): Constraint[] {
  if (def === undefined) return []
  if ('Constraint' in def) return [def.Constraint]
  const nodes = 'ColumnDef' in def ? (def.ColumnDef.constraints ?? []) : []
  return nodes.flatMap((node) => ('Constraint' in node ? [node.Constraint] : []))
}

/**
 * On a labelled table: no computed columns, no conditions (their error shows the whole row), keys on columns without a
 * label only (their error shows the values).
 */
function isPlainConstraint(constraint: Constraint, isUnlabelled: (name: string) => boolean): boolean {
  switch (constraint.contype) {
    case 'CONSTR_NULL':
    case 'CONSTR_NOTNULL':
    case 'CONSTR_DEFAULT':
      return true
    case 'CONSTR_PRIMARY':
    case 'CONSTR_UNIQUE':
      return (stringsOf(constraint.keys) ?? ['*']).every(isUnlabelled)
    case 'CONSTR_FOREIGN':
      return (stringsOf(constraint.fk_attrs) ?? ['*']).every(isUnlabelled)
    default:
      return false
  }
}
