import type { Catalogue, Relation } from './catalogue.ts'
import { HARMLESS, QUIET, SIGNALS, WRITES_QUIETLY } from './functions.ts'
import { holdsDefinitionsOnly, isBuiltinType, isInformationSchemaHelper, isSystemSchema } from './system.ts'
import type { QualifiedName } from './tree.ts'

/**
 * What a name in a statement means to the server: resolved through the search path as the server does it, temporary
 * objects and pg_catalog first. https://www.postgresql.org/docs/current/ddl-schemas.html#DDL-SCHEMAS-PATH
 */
export type Meaning =
  | { readonly kind: 'relation'; readonly relation: Relation }
  /** Of pg_catalog or information_schema; `plain` holds definitions only. */
  | { readonly kind: 'system'; readonly schema: string; readonly name: string; readonly plain: boolean }
  /** Made by this session out of what is not in labelled reach, and not in the catalogue yet. */
  | { readonly kind: 'own' }
  | { readonly kind: 'unknown' }

export class Names {
  readonly catalogue: Catalogue
  readonly #path: readonly string[]
  /** Names of relations and types that this session has made and others may not see yet. */
  readonly #created: Set<string>

  constructor(catalogue: Catalogue, searchPath: readonly string[], created: ReadonlySet<string> | undefined) {
    this.catalogue = catalogue
    this.#path = searchPath.includes('pg_catalog') ? searchPath : ['pg_catalog', ...searchPath]
    this.#created = new Set(created)
  }

  /** Whether this is the order in which the session searches its schemas already, those of the system left aside. */
  isSearchPath(schemas: readonly string[]): boolean {
    const own = this.#path.filter((schema) => !schema.startsWith('pg_'))
    return schemas.length === own.length && schemas.every((schema, i) => schema === own[i])
  }

  /** A statement of this batch makes a relation or a type of this name. */
  create(name: string): void {
    this.#created.add(name)
  }

  relation(name: QualifiedName): Meaning {
    if (name.database !== undefined && name.database !== this.catalogue.database) return { kind: 'unknown' }
    if (name.schema !== undefined) return this.#inSchema(name.schema, name.name) ?? this.#own(name.name)
    for (const schema of this.#path) {
      const meaning = this.#inSchema(schema, name.name)
      if (meaning !== undefined) return meaning
    }
    return this.#own(name.name)
  }

  #inSchema(schema: string, name: string): Meaning | undefined {
    if (isSystemSchema(schema)) {
      return this.catalogue.system.get(schema)?.has(name) === true
        ? { kind: 'system', schema, name, plain: holdsDefinitionsOnly(schema, name) }
        : undefined
    }
    const relation = this.catalogue.schemas.get(schema)?.get(name)
    return relation === undefined ? undefined : { kind: 'relation', relation }
  }

  #own(name: string): Meaning {
    return this.#created.has(name) ? { kind: 'own' } : { kind: 'unknown' }
  }

  /**
   * May be called where no label is in reach: computes, or acts on the session or server without showing a row. `strict`:
   * may be called in a statement that reads labelled tables.
   */
  isHarmlessCall(call: QualifiedName, strict: boolean): boolean {
    const { schema, name } = call
    if (call.database !== undefined) return false
    if (schema === 'information_schema') return isInformationSchemaHelper(name)
    const known = this.catalogue.functions.get(name)
    if (schema === 'pg_catalog') {
      const added = known?.schemas.has('pg_catalog') === true
      return added ? known.harmless : isHarmlessBuiltin(name, strict)
    }
    // A user's function of a built-in's name may be the better match for the types at hand.
    if (known !== undefined && !known.harmless) return false
    if (schema === undefined) return known !== undefined || isHarmlessBuiltin(name, strict)
    return known?.schemas.has(schema) ?? false
  }

  isHarmlessOperator(operator: QualifiedName): boolean {
    if (operator.schema === 'pg_catalog') return true
    return operator.database === undefined && !this.catalogue.operators.has(operator.name)
  }

  isHarmlessType(type: QualifiedName): boolean {
    if (type.database !== undefined) return false
    const { schema, name } = type
    if (schema === 'pg_catalog') return isBuiltinType(name)
    if (schema !== undefined) return this.#typeIn(schema, name) ?? this.#created.has(name)
    for (const each of this.#path) {
      const harmless = each === 'pg_catalog' ? isBuiltinType(name) || undefined : this.#typeIn(each, name)
      if (harmless !== undefined) return harmless
    }
    return this.#created.has(name)
  }

  /** `undefined`: there is no such type there. */
  #typeIn(schema: string, name: string): boolean | undefined {
    return this.catalogue.types.get(schema)?.get(name)?.harmless
  }
}

function isHarmlessBuiltin(name: string, strict: boolean): boolean {
  if (HARMLESS.has(name)) return true
  return !strict && (QUIET.has(name) || WRITES_QUIETLY.has(name) || SIGNALS.has(name))
}
