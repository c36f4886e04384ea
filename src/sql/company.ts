import type { CreateSchemaStmt, Node } from 'libpg-query'
import type { Relation } from './catalogue/catalogue.ts'
import { classOfKind } from './statement/classify.ts'
import type { Names } from './session/names.ts'
import { objectsOf } from './statement/objects.ts'
import type { RelationRef, Survey } from './statement/survey.ts'
import { kindOf, showName } from './parse/tree.ts'

type Role = RelationRef['role']

/**
 * The relations that a statement reads and writes, as facts show them: those it names and, where there is a catalogue,
 * those that come in their company: what a view reads, what the rules of a written relation name, children and
 * partitions. A rule about a table holds for who comes to it through a view.
 */
export function touchedBy(
  node: Node,
  { relations }: Survey,
  names: Names | undefined,
): {
  readonly reads: ReadonlySet<string>
  readonly writes: ReadonlySet<string>
  /** Those among them that the catalogue does not know: only the client says that there is such a thing. */
  readonly typed: ReadonlySet<string>
} {
  const touched = new Touched(names, runsQueries(node))
  for (const relation of 'CreateSchemaStmt' in node ? within(node.CreateSchemaStmt, relations) : relations)
    touched.add(relation)
  for (const name of objectsOf(node)) touched.add({ ...name, role: 'write' })
  return touched
}

/** What CREATE SCHEMA makes along with it stands in that schema, also where its other parts name it. */
function within(
  { schemaname, authrole }: CreateSchemaStmt,
  relations: readonly RelationRef[],
): RelationRef[] {
  const schema = schemaname ?? authrole?.rolename
  const isMade = ({ role, schema: own }: RelationRef) => role === 'write' && own === undefined
  const made = new Set(relations.filter(isMade).map(({ name }) => name))
  if (schema === undefined) return [...relations]
  return relations.map((each) =>
    each.schema === undefined && made.has(each.name) ? { ...each, schema } : each,
  )
}

/** Whether the views and rules it names are run: a definition leaves them where they are. */
function runsQueries(node: Node): boolean {
  const commandClass = classOfKind(kindOf(node))
  return commandClass === 'read' || commandClass === 'write' || 'CreateTableAsStmt' in node
}

class Touched {
  readonly #names: Names | undefined
  readonly #runs: boolean
  readonly reads = new Set<string>()
  readonly writes = new Set<string>()
  readonly typed = new Set<string>()
  readonly #followed: Readonly<Record<Role, Set<number>>> = { read: new Set(), write: new Set() }

  constructor(names: Names | undefined, runs: boolean) {
    this.#names = names
    this.#runs = runs
  }

  add(named: RelationRef): void {
    const { role } = named
    const meaning = this.#names?.relation(named)
    if (meaning?.kind === 'relation') {
      // A definition of the parent alone is that of its children all the same.
      this.#addRelation(meaning.relation, role, named.only === true && this.#runs)
      return
    }
    this.#show(showName(named), role)
    if (meaning?.kind === 'unknown' || meaning?.kind === 'own') this.typed.add(showName(named))
    // What shows through a relation that this session has made.
    if (meaning?.kind !== 'system' && this.#runs)
      for (const oid of this.#names?.own(named.name)?.reads ?? []) this.#addOid(oid, role)
  }

  #show(name: string, role: Role): void {
    if (role === 'read') this.reads.add(name)
    else this.writes.add(name)
  }

  #addOid(oid: number, role: Role): void {
    const relation = this.#names?.catalogue.relations.get(oid)
    if (relation !== undefined) this.#addRelation(relation, role, false)
  }

  #addRelation(relation: Relation, role: Role, only: boolean): void {
    const { oid, kind } = relation
    if (this.#followed[role].has(oid)) return
    this.#show(showName(relation), role)
    const { children, ruled } = this.#names?.catalogue ?? {}
    if (!only) {
      this.#followed[role].add(oid)
      for (const child of children?.get(oid) ?? []) this.#addOid(child, role)
    }
    // The rows of a materialised view are its own, until it is filled anew.
    if (!this.#runs || (kind === 'm' && role === 'read')) return
    const throughRules = kind === 'v' || kind === 'm' || (role === 'write' && relation.hasRules)
    for (const behind of throughRules ? (ruled?.get(oid) ?? []) : []) {
      this.#addOid(behind, 'read')
      if (role === 'write' && kind !== 'm') this.#addOid(behind, 'write')
    }
  }
}
