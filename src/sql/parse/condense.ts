/**
 * Makes the tree of a long statement small enough for the main thread, without changing what can be told from it.
 * A bulk INSERT of 10,000 rows is one row shape 10,000 times: rows of plain values that look alike are kept once, so are
 * the constants of IN lists and arrays (and how many they were), long strings are cut, and where something stood is dropped.
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
  return key === 'valuesLists' ? distinctRows(list) : distinctConstants(list)
}

function distinctConstants(list: readonly Json[]): Json[] {
  const constants = list.filter(isConstant).length
  const first = list.findIndex(isConstant)
  const kept = list.filter((each, i) => i === first || !isConstant(each)).map(condense)
  return constants > 1 ? kept.map((each) => (isConstant(each) ? standingFor(each, constants) : each)) : kept
}

/** A row with anything but plain values in it is kept, wherever it stands: what it asks or sets may be its own. */
function distinctRows(rows: readonly Json[]): Json[] {
  const kept: { readonly row: Json; times: number }[] = []
  const seen = new Map<string, { times: number }>()
  for (const each of rows) {
    const items = itemsOf(each)
    const shape = items?.every(isPlain) === true ? JSON.stringify(each, blindToConstants) : undefined
    const same = shape === undefined ? undefined : seen.get(shape)
    if (same !== undefined) {
      same.times++
      continue
    }
    // The items of one row are its columns: their number is a fact, so a row keeps them all.
    const row = items === undefined ? condense(each) : { List: { items: items.map(condense) } }
    const one = { row, times: 1 }
    kept.push(one)
    if (shape !== undefined) seen.set(shape, one)
  }
  return kept.map(({ row, times }) => (times === 1 ? row : standingFor(row, times)))
}

/** A value that comes from nowhere but the text and the clock, and sets nothing. */
function isPlain(value: Json): boolean {
  if (!isObject(value)) return false
  const { TypeCast: cast, A_ArrayExpr: array, A_Expr: expression, FuncCall: call } = value
  if (isObject(cast)) return isPlain(cast['arg'] ?? null)
  if (isObject(array)) return arePlain(array['elements'])
  if (isObject(expression))
    return [expression['lexpr'], expression['rexpr']].every((each) => each === undefined || isPlain(each))
  if (isObject(call)) {
    const { funcname, args, funcformat: _format, location: _location, ...others } = call
    return Object.keys(others).length === 0 && lastOf(funcname) !== 'set_config' && arePlain(args)
  }
  return ['A_Const', 'ParamRef', 'SetToDefault', 'SQLValueFunction'].some((kind) => kind in value)
}

function arePlain(list: Json | undefined): boolean {
  return list === undefined || (isList(list) && list.every(isPlain))
}

function lastOf(name: Json | undefined): Json | undefined {
  const last = isList(name) ? name.at(-1) : undefined
  return isObject(last) && isObject(last['String']) ? last['String']['sval'] : undefined
}

/** Where it stood is left out of the tree, so that this is free to say for how many it stands: see `constantsIn`. */
function standingFor(value: Json, times: number): Json {
  if (isList(value)) return value.map((each) => standingFor(each, times))
  if (!isObject(value)) return value
  const made: Record<string, Json> = {}
  for (const key of Object.keys(value)) {
    const child = value[key] ?? null
    if (key !== 'A_Const' || !isObject(child)) made[key] = standingFor(child, times)
    else {
      const before = typeof child['location'] === 'number' ? -child['location'] : 1
      made[key] = { ...child, location: -before * times }
    }
  }
  return made
}

function itemsOf(row: Json): readonly Json[] | undefined {
  const items = isObject(row) && isObject(row['List']) ? row['List']['items'] : undefined
  return isList(items) ? items : undefined
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
