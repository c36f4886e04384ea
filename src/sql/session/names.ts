import type { Catalogue, FunctionForm, Relation, UserType } from '../catalogue/catalogue.ts'
import { stateOfReach } from '../catalogue/catalogue.ts'
import type { Effect, Own } from './effect.ts'
import { HARMLESS, QUIET, SIGNALS, WRITES_QUIETLY } from '../builtins/functions.ts'
import type { Overlay } from './overlay.ts'
import { NO_OVERLAY, overlayAfter } from './overlay.ts'
import {
  holdsDefinitionsOnly,
  isBuiltinType,
  isInformationSchemaHelper,
  isInformationSchemaType,
  isSystemSchema,
} from '../builtins/system.ts'
import type { Call, QualifiedName } from '../parse/tree.ts'

/**
 * What a name in a statement means to the server: resolved through the search path as the server does it, temporary
 * objects and pg_catalog first. https://www.postgresql.org/docs/current/ddl-schemas.html#DDL-SCHEMAS-PATH
 */
export type Meaning =
  | { readonly kind: 'relation'; readonly relation: Relation }
  /** Of pg_catalog or information_schema; `plain` holds definitions only. */
  | { readonly kind: 'system'; readonly schema: string; readonly name: string; readonly plain: boolean }
  /** Made by this session out of what is not in labelled reach, and not in the catalogue yet. */
  | {
      readonly kind: 'own'
      readonly columns?: readonly string[]
      /** A view of unprotected columns of relations in labelled reach: to be read, not to be written through. */
      readonly near?: true
    }
  | { readonly kind: 'unknown' }

/** As whom a session began, and where its names are looked for. */
export type Beginning = {
  /** Schemas in order, as the setting has them: `$user` is the role. */
  readonly searchPath: readonly string[]
  /** Who it acts as. Absent: `$user` stands for no schema. */
  readonly role?: string
  /** Who logged in. */
  readonly login?: string
}

export class Names {
  readonly catalogue: Catalogue
  readonly #beginning: Beginning
  #path: readonly string[] = []
  /** Also those that its role may not use, as far as the catalogue knows. */
  #searched: ReadonlySet<string> = new Set()
  #overlay: Overlay

  constructor(catalogue: Catalogue, beginning: Beginning, overlay: Overlay = NO_OVERLAY) {
    this.catalogue = catalogue
    this.#beginning = beginning
    this.#overlay = overlay
    this.#setPath()
  }

  /** For a statement that is judged and does not run: what it would leave behind stays there. */
  copy(): Names {
    return new Names(this.catalogue, this.#beginning, this.#overlay)
  }

  /** Something may have changed path, role or relations that was not followed. */
  get lost(): boolean {
    return this.#overlay.now.lost
  }

  /** A statement of this batch has run, when those behind it do. */
  follow(effects: readonly Effect[]): void {
    for (const effect of effects) this.#overlay = overlayAfter(this.#overlay, effect)
    if (effects.length > 0) this.#setPath()
  }

  #setPath(): void {
    const { path, role } = settingsNow(this.#beginning, this.#overlay)
    const unusable = role === undefined ? undefined : this.catalogue.unusable?.get(role)
    const named = path
      .map((schema) => (schema === '$user' ? role : schema))
      .filter((schema) => schema !== undefined)
    const schemas = named.filter((schema) => unusable?.has(schema) !== true)
    this.#searched = new Set(['pg_catalog', ...named])
    this.#path = schemas.includes('pg_catalog') ? schemas : ['pg_catalog', ...schemas]
  }

  /** Whether it is known what a search path of these schemas means. */
  isPath(schemas: readonly string[]): boolean {
    return schemas.every(
      (schema) =>
        FIXED_SCHEMAS.has(schema) ||
        this.catalogue.schemas.has(schema) ||
        this.catalogue.schemaNames?.has(schema) === true,
    )
  }

  /** Whether it is known which schemas this role may use. */
  isRole(name: string): boolean {
    return this.catalogue.unusable?.has(name) ?? false
  }

  /** What this session has made under this name. */
  own(name: string): Own | undefined {
    return this.#overlay.now.made.get(name)
  }

  /** Whether a relation was made by this session and others do not see it yet: which labels its columns will have is not known. */
  isNew(name: QualifiedName): boolean {
    return this.relation(name).kind === 'own' && this.own(name.name)?.temporary === false
  }

  /** A statement of this batch makes a relation or a type of this name. */
  create(name: string): void {
    if (this.own(name) !== undefined) return
    const own: Own = { temporary: false, tainted: false, reads: [], endsWithTransaction: false }
    this.follow([{ kind: 'make', name, own }])
  }

  /** Whether a temporary relation of this name would stand before one that others mean by it. */
  wouldShadow(name: string): boolean {
    for (const relations of this.catalogue.schemas.values()) if (relations.has(name)) return true
    for (const relations of this.catalogue.system.values()) if (relations.has(name)) return true
    return false
  }

  relation(name: QualifiedName): Meaning {
    if (name.database !== undefined && name.database !== this.catalogue.database) return { kind: 'unknown' }
    // What may hold protected values goes before everything; what holds none may as well be what the catalogue has.
    const own = this.own(name.name)
    if (own?.tainted === true && isMeant(own, name.schema)) return { kind: 'unknown' }
    if (name.schema !== undefined) return this.#inSchema(name.schema, name.name) ?? this.#own(name)
    for (const schema of this.#path) {
      const meaning = this.#inSchema(schema, name.name)
      if (meaning !== undefined) return meaning
    }
    return this.#own(name)
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

  #own({ name, schema }: QualifiedName): Meaning {
    const own = this.own(name)
    if (own === undefined || own.tainted || !isMeant(own, schema)) return { kind: 'unknown' }
    // A view shows what is behind it now, not what was when it was made.
    const { relations, reach } = this.catalogue
    if (own.reads.some((oid) => !relations.has(oid))) return { kind: 'unknown' }
    const near = own.reads.some((oid) => reach.has(oid))
    if (near && own.clearAt !== stateOfReach(this.catalogue)) return { kind: 'unknown' }
    return {
      kind: 'own',
      ...(own.columns === undefined ? {} : { columns: own.columns }),
      ...(near ? { near } : {}),
    }
  }

  /**
   * May be called where no label is in reach: computes, or acts on the session or server without showing a row. `strict`:
   * may be called in a statement that reads labelled tables.
   */
  isHarmlessCall(call: Call, strict: boolean): boolean {
    const { schema, name } = call
    if (call.database !== undefined) return false
    if (schema === 'information_schema') return isInformationSchemaHelper(name)
    const own = this.ownFunctions(call)
    if (own.some((each) => !each.harmless)) return false
    if (schema !== undefined && schema !== 'pg_catalog') return own.length > 0
    return own.length > 0 || isHarmlessBuiltin(name, strict)
  }

  /**
   * The functions of users that a call may mean, beside a built-in one: the types at hand, which are not known here, decide
   * among those that are found on the search path and take so many arguments.
   * https://www.postgresql.org/docs/current/typeconv-func.html
   */
  ownFunctions({ schema, name, arguments: given }: Call): readonly FunctionForm[] {
    const forms = this.catalogue.functions.get(name)?.forms ?? []
    const fits = ({ least, most }: FunctionForm): boolean =>
      given === undefined || (least <= given && given <= most)
    return forms.filter((each) =>
      schema === undefined ? this.#isSearched(each.schema) && fits(each) : each.schema === schema,
    )
  }

  isHarmlessOperator(operator: QualifiedName): boolean {
    if (operator.schema === 'pg_catalog') return true
    if (operator.database !== undefined) return false
    const schemas = [...(this.catalogue.operators.get(operator.name) ?? [])]
    return !schemas.some((each) =>
      operator.schema === undefined ? this.#isSearched(each) : (each ?? operator.schema) === operator.schema,
    )
  }

  /** Whether what is called by its name alone may be in this schema; undefined: one that is not known. */
  #isSearched(schema: string | undefined): boolean {
    return schema === undefined || this.lost || this.#searched.has(schema)
  }

  isHarmlessType(type: QualifiedName): boolean {
    if (type.database !== undefined) return false
    const { schema, name } = type
    if (schema === 'pg_catalog') return isBuiltinType(name)
    if (schema === 'information_schema') return isInformationSchemaType(name)
    if (schema !== undefined) return this.#typeIn(schema, name) ?? this.own(name) !== undefined
    for (const each of this.#path) {
      const harmless = each === 'pg_catalog' ? isBuiltinType(name) || undefined : this.#typeIn(each, name)
      if (harmless !== undefined) return harmless
    }
    return this.own(name) !== undefined
  }

  /** Which type this is; `undefined`: none that is known, such as one that this session has just made. */
  typeMeant({ database, schema, name }: QualifiedName): 'builtin' | UserType | undefined {
    if (database !== undefined) return undefined
    for (const each of schema === undefined ? this.#path : [schema]) {
      const builtin =
        each === 'pg_catalog'
          ? isBuiltinType(name)
          : each === 'information_schema' && isInformationSchemaType(name)
      const meant = builtin ? 'builtin' : this.catalogue.types.get(each)?.get(name)
      if (meant !== undefined) return meant
    }
    return undefined
  }

  /** Whether code of users may stand behind a type of this name, whatever its schema. */
  isCodedType({ name }: QualifiedName): boolean {
    const coded = this.catalogue.userCode?.types
    if (coded === undefined || coded.size === 0) return false
    for (const types of this.catalogue.types.values()) if (coded.has(types.get(name)?.oid ?? 0)) return true
    return this.own(name) !== undefined
  }

  /** `undefined`: there is no such type there. */
  #typeIn(schema: string, name: string): boolean | undefined {
    return this.catalogue.types.get(schema)?.get(name)?.harmless
  }
}

/** Schemas that always mean the same, or nothing that the catalogue would have to know. */
const FIXED_SCHEMAS: ReadonlySet<string> = new Set([
  '',
  '$user',
  'pg_temp',
  'pg_catalog',
  'information_schema',
])

function isMeant(own: Own, schema: string | undefined): boolean {
  return schema === undefined || own.schema === undefined || own.schema === schema
}

/** Where names are looked for, and as whom. */
export function settingsNow(
  beginning: Beginning,
  { now }: Overlay,
): { readonly path: readonly string[]; readonly role: string | undefined } {
  const path = now.pathLocal ?? now.path ?? 'default'
  const role = now.roleLocal ?? now.role ?? 'default'
  return {
    path: path === 'default' ? beginning.searchPath : path,
    role:
      role === 'default' ? beginning.role : role === 'none' ? (beginning.login ?? beginning.role) : role.name,
  }
}

function isHarmlessBuiltin(name: string, strict: boolean): boolean {
  if (HARMLESS.has(name)) return true
  return !strict && (QUIET.has(name) || WRITES_QUIETLY.has(name) || SIGNALS.has(name))
}
