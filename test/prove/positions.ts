/** Which kinds of node stood where in a statement: what the generator reached, held against what can be reached. */
import { loadModule, parseSync } from 'libpg-query'

export { loadModule }

/** Where a node stands, by the nearest of these keys above it. */
const PLACES: Readonly<Record<string, string>> = {
  targetList: 'output',
  whereClause: 'where',
  quals: 'on',
  groupClause: 'group',
  havingClause: 'having',
  sortClause: 'order',
  limitCount: 'limit',
  limitOffset: 'limit',
  distinctClause: 'distinct',
  windowClause: 'window',
  over: 'window',
  agg_filter: 'filter',
  agg_order: 'aggregate order',
  valuesLists: 'values',
  functions: 'from',
  returningClause: 'returning',
  returningList: 'returning',
  onConflictClause: 'conflict',
  mergeWhenClauses: 'merge',
  joinCondition: 'merge',
}

/** Kinds of nodes of expressions. Those that only aggregates, windows, DML or FROM have are below. */
const EVERYWHERE = [
  'A_ArrayExpr', 'A_Const', 'A_Expr AEXPR_OP', 'A_Expr AEXPR_OP_ANY', 'A_Expr AEXPR_OP_ALL', 'A_Expr AEXPR_DISTINCT',
  'A_Expr AEXPR_NOT_DISTINCT', 'A_Expr AEXPR_NULLIF', 'A_Expr AEXPR_IN', 'A_Expr AEXPR_LIKE', 'A_Expr AEXPR_ILIKE',
  'A_Expr AEXPR_SIMILAR', 'A_Expr AEXPR_BETWEEN', 'A_Expr AEXPR_NOT_BETWEEN', 'A_Expr AEXPR_BETWEEN_SYM',
  'A_Indirection', 'BoolExpr', 'BooleanTest', 'CaseExpr', 'CaseWhen', 'CoalesceExpr', 'CollateClause', 'ColumnRef',
  'FuncCall', 'JsonArrayConstructor', 'JsonArrayQueryConstructor', 'JsonFuncExpr JSON_EXISTS_OP',
  'JsonFuncExpr JSON_QUERY_OP', 'JsonFuncExpr JSON_VALUE_OP', 'JsonIsPredicate', 'JsonObjectConstructor',
  'JsonParseExpr', 'JsonScalarExpr', 'JsonSerializeExpr', 'MinMaxExpr', 'NamedArgExpr', 'NullTest', 'RowExpr',
  'SQLValueFunction', 'SubLink ALL_SUBLINK', 'SubLink ANY_SUBLINK', 'SubLink ARRAY_SUBLINK', 'SubLink EXISTS_SUBLINK',
  'SubLink EXPR_SUBLINK', 'TypeCast',
] // biome-ignore format: a list
const AGGREGATES = [
  'FuncCall filter',
  'FuncCall order',
  'FuncCall within',
  'JsonArrayAgg',
  'JsonObjectAgg',
] as const
const PLACES_ALL = [
  'output', 'where', 'on', 'group', 'having', 'order', 'limit', 'distinct', 'window', 'filter', 'aggregate order',
  'values', 'from', 'returning', 'set', 'conflict', 'merge',
] as const // biome-ignore format: a list

/** Every pair that the server takes, as `kind @ place`. */
export function reachable(): Set<string> {
  const pairs = new Set<string>()
  const add = (kinds: readonly string[], places: readonly string[]) => {
    for (const kind of kinds) for (const place of places) pairs.add(`${kind} @ ${place}`)
  }
  add(EVERYWHERE, PLACES_ALL)
  // A bare aggregate or window call is refused in WHERE and its like; inside a subquery the place is that query's.
  add(AGGREGATES, ['output', 'having', 'order', 'window'])
  add(['FuncCall over'], ['output', 'order'])
  add(['GroupingFunc'], ['output', 'having', 'order'])
  add(['XmlExpr', 'XmlSerialize'], ['output', 'where', 'on', 'values', 'from', 'returning', 'set'])
  add(['MergeSupportFunc'], ['returning'])
  add(['SetToDefault'], ['set', 'conflict', 'merge'])
  const sources = [
    'RangeVar',
    'RangeSubselect',
    'RangeFunction',
    'JoinExpr',
    'JsonTable',
    'RangeTableFunc',
    'RangeTableSample',
  ]
  add(sources, ['from of query', 'from of subquery', 'from of CTE', 'from of write'])
  add(
    [
      'set UNION',
      'set UNION ALL',
      'set INTERSECT',
      'set EXCEPT',
      'values list',
      'CTE',
      'recursive CTE',
      'writing CTE',
      'grouping sets',
    ],
    ['statement'],
  )
  return pairs
}

/** The pairs in this text, or undefined when the grammar refuses it. */
export function pairsIn(text: string): Set<string> | undefined {
  let tree: unknown
  try {
    tree = parseSync(text)
  } catch {
    return undefined
  }
  const found = new Set<string>()
  walk(tree, { place: 'output', level: 'query', write: false }, found)
  return found
}

type At = {
  readonly place: string
  readonly level: 'query' | 'subquery' | 'CTE' | 'write'
  readonly write: boolean
}

function walk(value: unknown, at: At, found: Set<string>): void {
  if (Array.isArray(value)) {
    for (const each of value) walk(each, at, found)
    return
  }
  if (typeof value !== 'object' || value === null) return
  for (const [key, child] of Object.entries(value)) {
    if (/^[A-Z]/.test(key)) node(key, child as Record<string, unknown>, at, found)
    else {
      if (key === 'withClause' && Object(child)['recursive'] === true) found.add('recursive CTE @ statement')
      walk(child, placed(key, at), found)
    }
  }
}

function placed(key: string, at: At): At {
  if (key === 'fromClause' || key === 'usingClause' || key === 'sourceRelation')
    return { ...at, place: 'source' }
  const isReturning = key.startsWith('returning')
  if ((at.place === 'conflict' || at.place === 'merge') && !isReturning) return at
  if (key === 'targetList') return { ...at, place: at.write ? 'set' : 'output' }
  if (key === 'exprs' && at.place === 'returning') return at
  const place = PLACES[key]
  return place === undefined ? at : { ...at, place, write: key.startsWith('returning') ? false : at.write }
}

const KINDED = new Set(['A_Expr', 'JsonFuncExpr', 'SubLink'])
const SOURCES = /^(RangeVar|RangeSubselect|RangeFunction|JoinExpr|JsonTable|RangeTableFunc|RangeTableSample)$/

function node(kind: string, body: Record<string, unknown>, at: At, found: Set<string>): void {
  if (SOURCES.test(kind)) found.add(`${kind} @ from of ${at.level}`)
  else
    found.add(
      `${KINDED.has(kind) ? `${kind} ${String(body['kind'] ?? body['op'] ?? body['subLinkType'])}` : kind} @ ${at.place}`,
    )
  let inner = at
  if (kind === 'FuncCall') {
    if (body['over'] !== undefined) found.add(`FuncCall over @ ${at.place}`)
    if (body['agg_filter'] !== undefined) found.add(`FuncCall filter @ ${at.place}`)
    if (body['agg_order'] !== undefined)
      found.add(`FuncCall ${body['agg_within_group'] === true ? 'within' : 'order'} @ ${at.place}`)
  }
  if (kind === 'SelectStmt') selects(body, found)
  if (kind === 'GroupingSet') found.add('grouping sets @ statement')
  if (kind === 'SubLink' || kind === 'RangeSubselect') inner = { ...at, level: 'subquery', write: false }
  if (kind === 'CommonTableExpr') {
    inner = { ...at, level: 'CTE', write: false }
    found.add('CTE @ statement')
    const query = body['ctequery']
    if (typeof query === 'object' && query !== null && !('SelectStmt' in query))
      found.add('writing CTE @ statement')
  }
  if (kind === 'SelectStmt') inner = { ...inner, place: 'output', write: false }
  if (/^(Update|Delete|Insert|Merge)Stmt$/.test(kind)) inner = { place: 'set', level: 'write', write: true }
  // The arguments of these are in a place of their own; the call itself is where it was found.
  walk(body, inner, found)
}

function selects(body: Record<string, unknown>, found: Set<string>): void {
  const op = String(body['op'] ?? 'SETOP_NONE')
  if (op !== 'SETOP_NONE')
    found.add(
      `set ${op.replace('SETOP_', '')}${op === 'SETOP_UNION' && body['all'] === true ? ' ALL' : ''} @ statement`,
    )
  if (body['valuesLists'] !== undefined) found.add('values list @ statement')
}
