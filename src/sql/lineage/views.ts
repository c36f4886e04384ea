import type { Node } from 'libpg-query'
import type { Catalogue, Relation } from '../catalogue/catalogue.ts'
import { checkParts, checkRelations } from './checks.ts'
import { Findings } from './findings.ts'
import type { RulesOff } from './lineage-rules.ts'
import { Names } from '../session/names.ts'
import { QueryWalk } from './query.ts'
import type { ParseResult } from '../parse/parser.ts'
import { survey } from '../statement/survey.ts'
import type { ViewLineage, ViewReader } from './walk.ts'

/** Reads the text of a view; `undefined` when it is no single statement, or too long to be read in passing. */
export type ViewParser = (definition: string) => Node | undefined

/** The one statement of a text. */
export function statementOf(parsed: ParseResult | undefined): Node | undefined {
  const statements = parsed?.kind === 'parsed' ? (parsed.tree.stmts ?? []) : []
  return statements.length === 1 ? statements[0]?.stmt : undefined
}

/**
 * The lineage of views and materialised views, from their definitions as the server tells them with an empty search
 * path, so that every name in them says where it is. Each is followed once per catalogue.
 */
export class Views implements ViewReader {
  readonly #parse: ViewParser
  readonly #known = new WeakMap<Catalogue, Map<number, ViewLineage | undefined>>()
  readonly #following = new Set<number>()

  constructor(parse: ViewParser) {
    this.#parse = parse
  }

  of(relation: Relation, catalogue: Catalogue, off: RulesOff | undefined): ViewLineage | undefined {
    if (off !== undefined) return this.#follow(relation, catalogue, off)
    let known = this.#known.get(catalogue)
    if (known === undefined) {
      known = new Map()
      this.#known.set(catalogue, known)
    }
    if (known.has(relation.oid)) return known.get(relation.oid)
    const lineage = this.#follow(relation, catalogue, off)
    known.set(relation.oid, lineage)
    return lineage
  }

  #follow(relation: Relation, catalogue: Catalogue, off: RulesOff | undefined): ViewLineage | undefined {
    const { oid, definition, columns } = relation
    if (definition === undefined || this.#following.has(oid)) return undefined
    const node = this.#parse(definition)
    if (node === undefined || !('SelectStmt' in node)) return undefined
    this.#following.add(oid)
    try {
      const names = new Names(catalogue, { searchPath: [] })
      const findings = new Findings(catalogue.labels)
      const found = survey(node)
      if (found.beyond) return undefined
      checkParts(found, names, findings, true, undefined, off)
      checkRelations(node, found, names, findings, off)
      const rows = new QueryWalk(names, findings, this, off).rows(node, undefined, undefined)
      return rows.counted && rows.columns.length === columns.length
        ? { columns: rows.columns, findings, ...(rows.single === true ? { single: rows.single } : {}) }
        : undefined
    } finally {
      this.#following.delete(oid)
    }
  }
}
