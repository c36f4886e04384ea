/**
 * Makes the tree of a long statement small enough for the main thread, without changing what can be told from it.
 * A bulk INSERT of 10,000 rows is one row shape 10,000 times: rows of constants that look alike are kept once, so are
 * the constants of IN lists and arrays (and how many they were), long strings are cut, and fields that no fact looks at are dropped.
 * Runs only in the parser worker, whose stack is deep enough for a recursive walk.
 */

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/** Strings that mean something to the analysis (names, settings, patterns) are far shorter. */
const STRING_KEPT_MAX = 1024

/** Where something stood in the text, and how it was written: nothing that a fact looks at. */
const DROPPED = new Set([
  'location',
  'stmt_location',
  'stmt_len',
  'list_start',
  'list_end',
  'rexpr_list_start',
  'rexpr_list_end',
  'funcformat',
  'relpersistence',
  'inh',
  'limitOption',
  'defaction',
  'row_format',
  'is_local',
])

export function condense(value: Json): Json {
  if (isList(value)) return value.map(condense)
  if (!isObject(value)) return typeof value === 'string' ? cut(value) : value
  const small: Record<string, Json> = {}
  for (const key of Object.keys(value)) {
    if (DROPPED.has(key)) continue
    const child = value[key] ?? null
    small[key] = isList(child) && mayRepeat(key) ? distinct(child, key) : condense(child)
  }
  return small
}

/** Lists whose values no fact depends on: rows of VALUES, elements of IN (...) and ARRAY[...]. */
function mayRepeat(key: string): boolean {
  return key === 'valuesLists' || key === 'items' || key === 'elements'
}

function distinct(list: readonly Json[], key: string): Json[] {
  const seen = new Set<string>()
  const kept: Json[] = []
  let constants = 0
  for (const each of list) {
    const isRow = key === 'valuesLists'
    if (isRow || isConstant(each)) {
      if (!isRow) constants++
      const shape = isRow ? JSON.stringify(each, blindToConstants) : 'constant'
      if (seen.has(shape)) continue
      seen.add(shape)
    }
    // The items of one row are its columns: their number is a fact, so a row keeps them all.
    kept.push(isRow ? keepRow(each) : condense(each))
  }
  return constants > 1 ? kept.map((each) => standingFor(each, constants)) : kept
}

/** Where it stood is left out of the tree, so that this is free to say for how many it stands: see `constantsIn`. */
function standingFor(each: Json, constants: number): Json {
  if (!isObject(each)) return each
  const constant = each['A_Const']
  return isObject(constant) ? { A_Const: { ...constant, location: -constants } } : each
}

function keepRow(row: Json): Json {
  const items = isObject(row) && isObject(row['List']) ? row['List']['items'] : undefined
  return isList(items) ? { List: { items: items.map(condense) } } : condense(row)
}

function blindToConstants(key: string, value: Json): Json | undefined {
  if (DROPPED.has(key)) return undefined
  return isObject(value) && 'A_Const' in value ? 'constant' : value
}

function isConstant(value: Json): boolean {
  return isObject(value) && 'A_Const' in value
}

function cut(text: string): string {
  return text.length > STRING_KEPT_MAX ? `${text.slice(0, STRING_KEPT_MAX)}…` : text
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** How deep JSON text nests, without parsing it. */
export function depthOf(json: string): number {
  let depth = 0
  let deepest = 0
  let quoted = false
  for (let i = 0; i < json.length; i++) {
    const c = json.charCodeAt(i)
    if (quoted) {
      if (c === 0x5c) i++
      else if (c === 0x22) quoted = false
    } else if (c === 0x22) quoted = true
    else if (c === 0x7b || c === 0x5b) {
      if (++depth > deepest) deepest = depth
    } else if (c === 0x7d || c === 0x5d) depth--
  }
  return deepest
}
