import type { ParseResult as Tree } from 'libpg-query'
import { LIMITS } from '../../core/limits.ts'
import type { ParseResult } from './parser.ts'
import type { Shape } from './shape.ts'
import { literalText } from './shape.ts'
import type { Fields } from './tree.ts'
import { isFields } from './tree.ts'

/**
 * Keys of the decision cache. A key is the shape of a text and the literals that may matter to a decision. Left out are
 * only those of which the tree proves that no fact looks at them: compared with a bare column, listed in IN or BETWEEN
 * against one, or stored by INSERT ... VALUES or UPDATE ... SET. LIMIT, function arguments, casts, constant predicates,
 * positions in ORDER BY and everything else stay in.
 */
export class KeyMaker {
  /** Shape -> which of its literals are relevant. The oldest shape makes room. */
  readonly #relevant = new Map<string, readonly number[]>()

  /** `undefined`: this shape has not been learned. */
  keyOf(shape: Shape): string | undefined {
    const relevant = this.#relevant.get(shape.text)
    return relevant === undefined ? undefined : join(shape, relevant)
  }

  /** Learns a shape from the tree of a text that has it, and gives the key of that text. */
  learn(shape: Shape, parsed: ParseResult): string {
    const relevant = parsed.kind === 'parsed' ? relevantLiterals(parsed.tree, shape) : all(shape)
    if (this.#relevant.size >= LIMITS.shapesLearnedMax) {
      for (const oldest of this.#relevant.keys()) {
        this.#relevant.delete(oldest)
        break
      }
    }
    this.#relevant.set(shape.text, relevant)
    return join(shape, relevant)
  }
}

/** A text of a shape holds no byte 0, so nothing in it can look like the border between two literals. */
function join(shape: Shape, relevant: readonly number[]): string {
  let key = shape.text
  for (const index of relevant) key += `\0${literalText(shape, index)}`
  return key
}

function all(shape: Shape): number[] {
  return Array.from({ length: shape.literals.length / 2 }, (_, index) => index)
}

/** The indices of the literals that may matter, in order. */
export function relevantLiterals(tree: Tree, shape: Shape): number[] {
  const { exempt, others } = constantsOf(tree)
  return all(shape).filter((index) => {
    const at = locationOf(shape, shape.literals[2 * index] ?? 0)
    return !at.some((location) => exempt.has(location)) || at.some((location) => others.has(location))
  })
}

/** Where the tree says a literal is: at itself, or at the sign in front that the grammar has folded into it. */
function locationOf({ source }: Shape, start: number): number[] {
  let before = start - 1
  while (before >= 0 && isSpace(source[before])) before--
  return source[before] === 0x2d ? [start, before] : [start]
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d
}

const COMPARISONS = new Set(['=', '<>', '<', '>', '<=', '>='])
const SUMS = new Set(['+', '-'])
const LISTS = new Set([
  'AEXPR_IN',
  'AEXPR_BETWEEN',
  'AEXPR_NOT_BETWEEN',
  'AEXPR_BETWEEN_SYM',
  'AEXPR_NOT_BETWEEN_SYM',
])

/** The places of all constants: those that no fact looks at, and the others. One place may be in both. */
function constantsOf(tree: Tree): { exempt: ReadonlySet<number>; others: ReadonlySet<number> } {
  const exempt = new Set<number>()
  const others = new Set<number>()
  const unseen = new Set<unknown>()
  const stack: unknown[] = [tree]
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    if (Array.isArray(value)) for (const each of value) stack.push(each)
    if (!isFields(value)) continue
    for (const constant of exemptedBy(value)) unseen.add(constant)
    for (const key in value) {
      const child = value[key]
      if (key === 'A_Const' && isFields(child)) {
        const { location } = child
        if (typeof location === 'number') (unseen.has(value) ? exempt : others).add(location)
      } else stack.push(child)
    }
  }
  return { exempt, others }
}

/** The wrapped constants directly under this node that no fact looks at. */
function exemptedBy(node: Fields): Fields[] {
  const { A_Expr: expression, InsertStmt: insert, UpdateStmt: update } = node
  if (isFields(expression)) return fromExpression(expression, COMPARISONS)
  if (isFields(insert)) return fromInsert(insert)
  if (isFields(update)) return fromUpdate(update)
  return []
}

function fromExpression(expression: Fields, operators: ReadonlySet<string>): Fields[] {
  const { kind, name, lexpr, rexpr } = expression
  if (kind === 'AEXPR_OP' && operators.has(plainName(name))) {
    if (isColumn(lexpr)) return constants([rexpr])
    return isColumn(rexpr) ? constants([lexpr]) : []
  }
  if (typeof kind === 'string' && LISTS.has(kind) && isColumn(lexpr) && operators === COMPARISONS) {
    const list = isFields(rexpr) ? rexpr['List'] : undefined
    return isFields(list) ? constants(list['items']) : []
  }
  return []
}

function fromInsert(insert: Fields): Fields[] {
  const source = isFields(insert['selectStmt']) ? insert['selectStmt']['SelectStmt'] : undefined
  const rows = isFields(source) ? source['valuesLists'] : undefined
  const found: Fields[] = []
  for (const row of Array.isArray(rows) ? rows : []) {
    const list = isFields(row) ? row['List'] : undefined
    if (isFields(list)) found.push(...constants(list['items']))
  }
  return found
}

/** `SET a = 5`, and `SET a = a + 5`: what counters do. */
function fromUpdate(update: Fields): Fields[] {
  const found: Fields[] = []
  const targets = update['targetList']
  for (const target of Array.isArray(targets) ? targets : []) {
    const value = isFields(target) && isFields(target['ResTarget']) ? target['ResTarget']['val'] : undefined
    found.push(...constants([value]))
    const sum = isFields(value) ? value['A_Expr'] : undefined
    if (isFields(sum)) found.push(...fromExpression(sum, SUMS))
  }
  return found
}

function constants(nodes: unknown): Fields[] {
  return Array.isArray(nodes) ? nodes.filter((node) => isFields(node) && 'A_Const' in node) : []
}

/** `c.id`, not `c.*`. */
function isColumn(node: unknown): boolean {
  const column = isFields(node) ? node['ColumnRef'] : undefined
  const fields = isFields(column) ? column['fields'] : undefined
  return Array.isArray(fields) && fields.every((field) => isFields(field) && 'String' in field)
}

function plainName(name: unknown): string {
  const only: unknown = Array.isArray(name) && name.length === 1 ? name[0] : undefined
  const text = isFields(only) && isFields(only['String']) ? only['String']['sval'] : undefined
  return typeof text === 'string' ? text : ''
}
