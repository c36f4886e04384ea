import { LIMITS } from '../../core/limits.ts'
import type { ParseResult } from './parser.ts'
import type { Shape } from './shape.ts'
import { literalText } from './shape.ts'
import type { Fields } from './tree.ts'
import { isFields } from './tree.ts'

/**
 * What one approval may let run besides the command it was given for: the same text with other values in places where one
 * value selects or stores as much as any other. These are `column = value` and `column IN (values)` joined by AND at the top
 * of WHERE, values of INSERT ... VALUES, and `SET column = value`. All other values are part of the shape, and so is whether a
 * parameter is NULL.
 */
export type ReuseShape = {
  /** Equal for two texts exactly when they differ in nothing but such values. */
  readonly key: string
  /** The parameters that stand in such places and nowhere else, counted from 0. */
  readonly parameters: readonly number[]
  /** What may vary, in words, a line for each; no value stands in them. */
  readonly varies: readonly string[]
}

/** What is the same for all texts with the same tokens. */
type Places = {
  /** The literals that are part of the shape. */
  readonly fixed: readonly number[]
  readonly parameters: readonly number[]
  readonly varies: readonly string[]
}

export class ReuseShapes {
  readonly #places = new Map<string, Places>()

  /** Undefined: the command is only like itself. `parse` is asked for a text whose tokens were not seen before. */
  of(shape: Shape, parse: () => ParseResult | undefined): ReuseShape | undefined {
    let places = this.#places.get(shape.text)
    if (places === undefined) {
      places = placesOf(shape, parse())
      if (this.#places.size >= LIMITS.shapesLearnedMax) this.#places.clear()
      this.#places.set(shape.text, places)
    }
    if (places.varies.length === 0) return undefined
    // psql sends a semicolon that a driver leaves out.
    let key = shape.text.replace(/[\s;]+$/, '')
    for (const index of places.fixed) key += `\0${literalText(shape, index)}`
    return { key, parameters: places.parameters, varies: places.varies }
  }
}

const NOTHING: Places = { fixed: [], parameters: [], varies: [] }

function placesOf(shape: Shape, parsed: ParseResult | undefined): Places {
  const statements = parsed?.kind === 'parsed' ? (parsed.tree.stmts ?? []) : []
  const [only] = statements
  if (statements.length !== 1 || only?.stmt === undefined) return NOTHING
  const free = new Free()
  free.take(only.stmt)
  const { constants, others, parameters } = free.found(only.stmt)
  const fixed = Array.from({ length: shape.literals.length / 2 }, (_, index) => index).filter((index) => {
    const at = locationsOf(shape, shape.literals[2 * index] ?? 0)
    return !at.some((each) => constants.has(each)) || at.some((each) => others.has(each))
  })
  return { fixed, parameters, varies: free.varies }
}

/** Where the tree says a literal is: at itself, or at the sign in front that the grammar has folded into it. */
function locationsOf({ source }: Shape, start: number): number[] {
  let before = start - 1
  while (before >= 0 && /\s/.test(String.fromCharCode(source[before] ?? 0))) before--
  return source[before] === 0x2d ? [start, before] : [start]
}

/** The values that may vary. */
class Free {
  readonly #nodes = new Set<unknown>()
  readonly varies: string[] = []

  take(statement: object): void {
    if (!isFields(statement)) return
    const { UpdateStmt: update, DeleteStmt: remove, InsertStmt: insert, SelectStmt: select } = statement
    if (isFields(update)) {
      for (const target of listOf(update['targetList'])) this.#set(target)
      this.#condition(update['whereClause'])
    } else if (isFields(remove)) this.#condition(remove['whereClause'])
    else if (isFields(insert)) this.#insert(insert)
    else if (isFields(select) && (select['op'] ?? 'SETOP_NONE') === 'SETOP_NONE')
      this.#condition(select['whereClause'])
  }

  /** Where these stand in the tree, and where other constants do; and the parameters that stand nowhere else. */
  found(statement: object): {
    readonly constants: ReadonlySet<number>
    readonly others: ReadonlySet<number>
    readonly parameters: readonly number[]
  } {
    const constants = new Set<number>()
    const others = new Set<number>()
    const free = new Set<number>()
    const bound = new Set<number>()
    const stack: unknown[] = [statement]
    for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
      if (Array.isArray(value)) stack.push(...value.filter((each) => each !== undefined))
      if (!isFields(value)) continue
      const { A_Const: constant, ParamRef: parameter } = value
      const isFree = this.#nodes.has(value)
      if (isFields(constant)) {
        const { location } = constant
        // What has its default is left out of the tree.
        ;(isFree ? constants : others).add(typeof location === 'number' ? location : 0)
      }
      if (isFields(parameter)) (isFree ? free : bound).add(Number(parameter['number'] ?? 0) - 1)
      stack.push(...Object.values(value).filter((each) => typeof each === 'object' && each !== null))
    }
    return {
      constants,
      others,
      parameters: [...free].filter((each) => !bound.has(each)).sort((a, b) => a - b),
    }
  }

  #free(nodes: readonly unknown[], says: string): void {
    for (const node of nodes) this.#nodes.add(node)
    if (!this.varies.includes(says)) this.varies.push(says)
  }

  #set(target: unknown): void {
    const { name, val, indirection } = fieldsOf(target, 'ResTarget')
    if (indirection === undefined && isValue(val) && typeof name === 'string')
      this.#free([val], `SET ${name} = ...`)
  }

  #insert(insert: Fields): void {
    const select = fieldsOf(insert['selectStmt'], 'SelectStmt')
    const columns = listOf(insert['cols']).map((each) => fieldsOf(each, 'ResTarget'))
    for (const row of listOf(select['valuesLists'])) {
      for (const [i, value] of listOf(fieldsOf(row, 'List')['items']).entries()) {
        const column = columns[i]
        if (!isValue(value) || column?.['indirection'] !== undefined) continue
        const name = column?.['name']
        this.#free([value], `VALUES (...) for ${typeof name === 'string' ? name : `column ${i + 1}`}`)
      }
    }
  }

  #condition(node: unknown): void {
    const both = fieldsOf(node, 'BoolExpr')
    if (both['boolop'] === 'AND_EXPR') {
      for (const each of listOf(both['args'])) this.#condition(each)
      return
    }
    const { kind, name, lexpr, rexpr } = fieldsOf(node, 'A_Expr')
    if (!isEquals(name)) return
    if (kind === 'AEXPR_OP') {
      const [column, value] =
        columnOf(lexpr) === undefined ? [columnOf(rexpr), lexpr] : [columnOf(lexpr), rexpr]
      if (column !== undefined && isValue(value)) this.#free([value], `WHERE ${column} = ...`)
    } else if (kind === 'AEXPR_IN') {
      const values = listOf(fieldsOf(rexpr, 'List')['items'])
      const column = columnOf(lexpr)
      if (column !== undefined && values.length > 0 && values.every(isValue))
        this.#free(values, `WHERE ${column} IN (${values.length} values)`)
    }
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** The inside of a node of this kind; of any other, nothing. */
function fieldsOf(node: unknown, kind: string): Fields {
  const inside = isFields(node) ? node[kind] : undefined
  return isFields(inside) ? inside : {}
}

/** A constant, but NULL, or a parameter: by itself, without a cast. */
function isValue(node: unknown): boolean {
  if (!isFields(node)) return false
  const { A_Const: constant } = node
  return isFields(constant) ? constant['isnull'] !== true : isFields(node['ParamRef'])
}

/** `=` of whatever schema the server finds first; not one that is named. */
function isEquals(name: unknown): boolean {
  const [first, ...others] = listOf(name)
  return others.length === 0 && fieldsOf(first, 'String')['sval'] === '='
}

/** `c.id`, not `c.*`. */
function columnOf(node: unknown): string | undefined {
  const parts = listOf(fieldsOf(node, 'ColumnRef')['fields']).map((each) => fieldsOf(each, 'String')['sval'])
  return parts.length > 0 && parts.every((each) => typeof each === 'string') ? parts.join('.') : undefined
}
