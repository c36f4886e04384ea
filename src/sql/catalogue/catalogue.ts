import { createHash } from 'node:crypto'
import type { PathLabel } from '../../core/command.ts'
import type { LabelAssignment } from '../../core/connection.ts'
import type { LabelName } from '../../core/ids.ts'

/**
 * What the analysis knows of one database: its names, what depends on what, and which columns carry labels. Immutable;
 * a change upstream makes a new one with a higher epoch.
 */
export type Catalogue = {
  readonly epoch: number
  readonly database: string
  /** User relations by schema and name, and by oid. Neither system nor temporary ones. */
  readonly schemas: ReadonlyMap<string, ReadonlyMap<string, Relation>>
  readonly relations: ReadonlyMap<number, Relation>
  /** Names of the relations of `pg_catalog` and `information_schema`. */
  readonly system: ReadonlyMap<string, ReadonlySet<string>>
  /** User-defined functions by name, whatever their schema: a built-in of the same name is not always meant. */
  readonly functions: ReadonlyMap<string, UserFunction>
  /** User-defined operators by name, but for those of extensions known to be harmless: their schemas, if they are told. */
  readonly operators: ReadonlyMap<string, ReadonlySet<string | undefined>>
  readonly types: ReadonlyMap<string, ReadonlyMap<string, UserType>>
  /**
   * A user-defined cast to a built-in type from another one, or from the rows of a relation: it may be applied where
   * nothing in the text shows it.
   */
  readonly builtinTypesRecast: boolean
  /** Types of users that functions of users cast, and those made of them: a column of one brings the cast along. */
  readonly recast?: ReadonlySet<number>
  /** Types of users whose values are text: domains over it, and citext. */
  readonly texts?: ReadonlySet<number>
  /** Code of users that runs without being named. */
  readonly userCode?: UserCode
  /** Every schema of users, also those without relations. */
  readonly schemaNames?: ReadonlySet<string>
  /** Roles that a session may act as, and the schemas each of them may not use: the server passes over those. */
  readonly unusable?: ReadonlyMap<string, ReadonlySet<string>>
  /** The search path a new session starts with, as the server reports it: `"$user", public`. */
  readonly searchPath: string
  /** Names of constraints and unique indexes by relation: what an error may name. */
  readonly constraints: ReadonlyMap<number, ReadonlySet<string>>
  /** Every label that some column carries; sorted. */
  readonly labels: readonly LabelName[]
  /** Relations that carry a label, and all from which labelled values might come: views, partitions, parents. */
  readonly reach: ReadonlySet<number>
  /** Children and partitions of a relation: its rows are theirs as well. */
  readonly children: ReadonlyMap<number, readonly number[]>
  /** What the rules of a relation name: of a view, the relations it reads. */
  readonly ruled: ReadonlyMap<number, readonly number[]>
  /** Names of relations in reach that relations out of reach have as well, in another schema. */
  readonly shadowed: ReadonlySet<string>
  /** Assignments that name no column there is: worth a warning. */
  readonly unmatched: readonly LabelAssignment[]
}

/**
 * Code of users that the server runs without anybody naming it: behind row policies, defaults, checks, indexes, triggers
 * and types. It may read anything and say it in an error or a notice of a statement that is otherwise harmless.
 */
export type UserCode = {
  /** Relations with such code: whether any use of one runs it, any write, or what changes or removes rows that others refer to. */
  readonly relations: ReadonlyMap<number, 'any' | 'write' | 'change'>
  /** Event triggers: any definition runs them. */
  readonly definitions: boolean
  /** Types, built-in ones included, whose values are read, compared or cast by such code. */
  readonly types: ReadonlySet<number>
  /** Of a table's code there is some that a definition takes over from it, as LIKE does. */
  readonly copied: boolean
  /** Of a user's is an operator that the server looks for by itself, as `=` in USING, or how a built-in type is ordered. */
  readonly comparing: boolean
  /** Some of it, or what it may call, says that it changes where names are looked for, or as whom. */
  readonly moves: boolean
}

/** Without any. */
export const NO_USER_CODE: UserCode = {
  relations: new Map(),
  definitions: false,
  types: new Set(),
  copied: false,
  comparing: false,
  moves: false,
}

/** As in pg_class: table, partitioned table, view, materialized view, foreign table, sequence, composite type. */
export type RelationKind = 'r' | 'p' | 'v' | 'm' | 'f' | 'S' | 'c'

export type Relation = {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly kind: RelationKind
  /** In the order of their numbers, dropped ones left out: the order of `*`. */
  readonly columns: readonly Column[]
  /** Triggers and rules made by users: a write does more than it says. */
  readonly hasTriggers: boolean
  readonly hasRules: boolean
  /** Of a view or materialised view: its query, with every name in full. */
  readonly definition?: string
  /** Labels that decide in which of its partitions a row is. */
  readonly placing?: readonly LabelName[]
  /** Labels that decide that its rows are in it, as a partition of another. */
  readonly placed?: readonly LabelName[]
}

export type Column = {
  readonly name: string
  readonly attribute: number
  readonly type: number
  readonly label?: LabelName
  /** Labels of what lies at paths inside its JSON. */
  readonly paths?: readonly PathLabel[]
  /** Its labels are those of columns that it is generated from: what of a protected value stands where in it, nobody knows. */
  readonly generated?: true
  /** Writing a value there tells whether it is there already: a unique index or an exclusion constraint looks at it. */
  readonly unique?: true
  /** That constraint compares it by more than equality, as with `&&`: one value asks about many. */
  readonly overlaps?: true
  /** What else writing it asks about: labelled columns that a unique index looks at together with it. */
  readonly asks?: readonly Asked[]
  /** Its collation takes for equal what is more than spellings of one text: one value asks about many. */
  readonly loose?: true
}

/** By one unique index or exclusion constraint. */
export type Asked = {
  readonly labels: readonly LabelName[]
  /** Names of columns. It looks at no row that has NULL in one of them, which a row has that does not name it. */
  readonly spared: readonly string[]
}

/** text, varchar, char(n) and name: a cast to text changes nothing of a value but blanks at its end. */
const TEXTS: ReadonlySet<number> = new Set([25, 1043, 1042, 19])

export function isTextType(oid: number | undefined, { texts }: Pick<Catalogue, 'texts'>): boolean {
  return oid !== undefined && (TEXTS.has(oid) || texts?.has(oid) === true)
}

/** All labels of a column, of the whole or of a part. */
export function labelsOfColumn({ label, paths = [] }: Pick<Column, 'label' | 'paths'>): LabelName[] {
  const labels = [...(label === undefined ? [] : [label]), ...paths.map((each) => each.label)]
  return [...new Set(labels)].sort()
}

/** All functions of one name taken together: the least known of them counts. */
export type UserFunction = {
  readonly schemas: ReadonlySet<string>
  readonly volatile: boolean
  /** One of them can be called with a single argument, and so as `argument.name`. */
  readonly takesOne: boolean
  /** All are of extensions whose functions only compute from their arguments. */
  readonly harmless: boolean
  readonly forms: readonly FunctionForm[]
}

/** One of the functions of a name. */
export type FunctionForm = {
  readonly schema: string
  /** With how many arguments it can be called. */
  readonly least: number
  readonly most: number
  readonly volatile: boolean
  readonly harmless: boolean
}

export type UserType = {
  readonly oid: number
  /** Enumerations, domains over built-in types without code of a user, and types of harmless extensions. */
  readonly harmless: boolean
  /** A value of it is one value, and equal to itself alone: no vector, and no collation that takes others for equal. */
  readonly exact: boolean
}

/** Its rows are just what they are: a table, partitioned or not. */
export function isPlainTable(relation: Relation): boolean {
  return relation.kind === 'r' || relation.kind === 'p'
}

/** The labels of a relation's columns, without duplicates. */
export function labelsOf(relation: Relation): LabelName[] {
  const labels: LabelName[] = []
  for (const column of relation.columns) {
    for (const label of labelsOfColumn(column)) if (!labels.includes(label)) labels.push(label)
  }
  return labels
}

const states = new WeakMap<Catalogue, string>()

/** All that the lineage depends on of what is in labelled reach: the same state, the same answers. */
export function stateOfReach(catalogue: Catalogue): string {
  const known = states.get(catalogue)
  if (known !== undefined) return known
  const all = [...catalogue.reach].sort((a, b) => a - b).map((oid) => catalogue.relations.get(oid) ?? oid)
  const text = JSON.stringify([catalogue.labels, all])
  const state = createHash('sha256').update(text).digest('hex')
  states.set(catalogue, state)
  return state
}

/** Relations from which labelled values might come; the server naming one of them as a source is a reason to look twice. */
export function labelledReach(catalogue: Catalogue): ReadonlySet<number> {
  return catalogue.reach
}
