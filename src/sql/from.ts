import type { Alias, JoinExpr, Node, RangeFunction, RangeVar } from 'libpg-query'
import type { Relation } from './catalogue.ts'
import { isPlainTable, labelsOf } from './catalogue.ts'
import type { Item, OutputColumn, Scope } from './scope.ts'
import { renamed } from './scope.ts'
import { stringsOf } from './tree.ts'
import type { Ctes, Walk } from './walk.ts'

/** What FROM brings into sight, and what a bare star stands for. */
export type FromItems = {
  readonly items: readonly Item[]
  readonly star: readonly OutputColumn[]
  /** Whether these are all columns of the star, in their order. */
  readonly starCounted: boolean
}

const NONE: FromItems = { items: [], star: [], starCounted: true }

/** The FROM of queries: relations, queries of WITH, subqueries, functions and joins. Anything else is an escape. */
export class FromWalk {
  readonly #query: Walk

  constructor(query: Walk) {
    this.#query = query
  }

  all(nodes: readonly Node[] | undefined, outer: Scope | undefined, ctes: Ctes): FromItems {
    let found = NONE
    for (const node of nodes ?? []) {
      // A LATERAL subquery or a function sees what stands before it. That others do not makes no difference here: a
      // name that could mean a labelled column is always taken to.
      const before: Scope = { items: found.items, outer }
      found = together(found, this.#item(node, before, ctes))
    }
    return found
  }

  /** The relation that a statement changes. */
  target(relation: RangeVar | undefined): Item {
    const item = relation === undefined ? undefined : this.#relation(relation)
    if (item === undefined) return { alias: '', columns: [], open: true }
    const meaning = this.#query.names.relation(nameOf(relation ?? {}))
    if (meaning.kind === 'relation') this.#writable(meaning.relation)
    return item
  }

  #writable(relation: Relation): void {
    const labels = labelsOf(relation)
    if (labels.length === 0 || !(relation.hasTriggers || relation.hasRules)) return
    this.#query.findings.escape(
      labels,
      `Do not change ${relation.name}: its triggers or rules see protected values and may pass them on.`,
    )
  }

  #item(node: Node, before: Scope, ctes: Ctes): FromItems {
    if ('RangeVar' in node) return single(this.#relationOrCte(node.RangeVar, ctes))
    if ('JoinExpr' in node) return this.#join(node.JoinExpr, before, ctes)
    if ('RangeSubselect' in node) {
      const { subquery, alias } = node.RangeSubselect
      const rows = this.#query.inner(subquery, before, ctes)
      const open = !rows.counted || rows.columns.some((column) => column.name === '')
      return single(aliased({ alias: '', columns: rows.columns, open }, alias), rows.counted)
    }
    if ('RangeFunction' in node) return single(this.#function(node.RangeFunction, before, ctes), false)
    this.#query.findings.escapeAll(
      'Use only tables, subqueries, joins and functions in FROM beside protected columns.',
    )
    return single({ alias: '', columns: [], open: true }, false)
  }

  #relationOrCte(relation: RangeVar, ctes: Ctes): Item {
    if (relation.schemaname === undefined) {
      for (let cte = ctes; cte !== undefined; cte = cte.outer) {
        if (cte.name === relation.relname) return aliased(cte.item, relation.alias)
      }
    }
    return this.#relation(relation)
  }

  #relation(relation: RangeVar): Item {
    const { names, findings } = this.#query
    const alias = relation.relname ?? ''
    const meaning = names.relation(nameOf(relation))
    switch (meaning.kind) {
      case 'relation': {
        const { columns, schema, oid } = meaning.relation
        const inReach = names.catalogue.reach.has(oid)
        if (inReach && !(isPlainTable(meaning.relation) && labelsOf(meaning.relation).length > 0)) {
          findings.escapeAll(
            `Select from the tables behind ${meaning.relation.name}: what it derives is not followed.`,
          )
        }
        const item: Item = {
          alias,
          schema,
          columns: columns.map(({ name, attribute, type, label }) => ({
            name,
            source: { relation: oid, attribute, type },
            ...(label === undefined ? {} : { label }),
          })),
          open: false,
        }
        return aliased(item, relation.alias)
      }
      case 'system':
        if (!meaning.plain)
          findings.escapeAll(`Do not read ${meaning.schema}.${meaning.name}: it holds values or secrets.`)
        return aliased({ alias, schema: meaning.schema, columns: [], open: true }, relation.alias)
      case 'own':
        return aliased({ alias, columns: [], open: true }, relation.alias)
      case 'unknown':
        findings.escapeAll(`Name a relation that exists: ${alias} is not known here.`)
        return aliased({ alias, columns: [], open: true }, relation.alias)
    }
  }

  /** Its columns are those of its type: not known by name, never labelled. */
  #function(from: RangeFunction, before: Scope, ctes: Ctes): Item {
    let alias = ''
    for (const each of from.functions ?? []) {
      const call = 'List' in each ? each.List.items?.[0] : undefined
      this.#query.expressions.value(call, before, ctes)
      if (call !== undefined && 'FuncCall' in call) alias = stringsOf(call.FuncCall.funcname)?.at(-1) ?? ''
    }
    return aliased({ alias, columns: [], open: true }, from.alias)
  }

  #join(join: JoinExpr, before: Scope, ctes: Ctes): FromItems {
    const left = join.larg === undefined ? NONE : this.#item(join.larg, before, ctes)
    const seen: Scope = { items: [...before.items, ...left.items], outer: before.outer }
    const right = join.rarg === undefined ? NONE : this.#item(join.rarg, seen, ctes)
    const both = together(left, right)
    this.#query.expressions.predicate(join.quals, { items: both.items, outer: seen }, ctes)
    const merged = join.isNatural === true ? this.#natural(both) : this.#using(join, left, right)
    if (join.alias === undefined) {
      const using = join.join_using_alias?.aliasname
      if (using === undefined) return merged
      return { ...merged, items: [...merged.items, { alias: using, columns: [], open: true }] }
    }
    // The alias of a join hides what is inside it.
    const item = aliased({ alias: '', columns: merged.star, open: !merged.starCounted }, join.alias)
    return { items: [item], star: item.columns, starCounted: merged.starCounted }
  }

  #natural(both: FromItems): FromItems {
    if (both.star.some((column) => column.label !== undefined)) {
      this.#query.findings.escapeAll(
        'Write JOIN ... ON in place of NATURAL JOIN on tables that hold protected columns.',
      )
    }
    return { ...both, starCounted: false }
  }

  /** USING puts its columns first and once; that of the left side, but for RIGHT and FULL joins. */
  #using(join: JoinExpr, left: FromItems, right: FromItems): FromItems {
    const names = stringsOf(join.usingClause) ?? []
    const both = together(left, right)
    if (names.length === 0) return both
    const merged = names.map((name) => {
      const sides = [left, right].map((side) => side.star.find((column) => column.name === name))
      for (const side of sides) {
        if (side?.label === undefined) continue
        this.#query.findings.escape(
          [side.label],
          `Do not join USING (${name}); it is protected (${side.label}).`,
        )
      }
      const [first, second] = sides
      if (join.jointype === 'JOIN_FULL') return { name }
      return (join.jointype === 'JOIN_RIGHT' ? second : first) ?? { name }
    })
    const rest = both.star.filter((column) => !names.includes(column.name))
    // Without an alias in front, a merged column is meant, and not that of one side.
    const items = [{ alias: '', columns: merged, open: false }, ...both.items]
    return { items, star: [...merged, ...rest], starCounted: both.starCounted }
  }
}

function single(item: Item, counted = !item.open): FromItems {
  return { items: [item], star: item.columns, starCounted: counted }
}

function together(left: FromItems, right: FromItems): FromItems {
  return {
    items: [...left.items, ...right.items],
    star: [...left.star, ...right.star],
    starCounted: left.starCounted && right.starCounted,
  }
}

function aliased(item: Item, alias: Alias | undefined): Item {
  return alias === undefined ? item : renamed(item, alias.aliasname, stringsOf(alias.colnames) ?? [])
}

function nameOf({ catalogname, schemaname, relname }: RangeVar): {
  name: string
  schema?: string
  database?: string
} {
  return {
    name: relname ?? '',
    ...(schemaname === undefined ? {} : { schema: schemaname }),
    ...(catalogname === undefined ? {} : { database: catalogname }),
  }
}
