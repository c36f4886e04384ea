import type { A_Const, Node, ParamRef } from 'libpg-query'
import { isFields } from '../parse/tree.ts'

/** A value that a client gives in a statement: a constant in its text, or a parameter. */
export type Given = A_Const | ParamRef

/** All that is given under this node, subqueries included. */
export function givenIn(node: Node | undefined): Given[] {
  const found: Given[] = []
  eachPart(node, (kind, part) => {
    if (kind !== 'A_Const' && kind !== 'ParamRef') return false
    found.push(part)
    return true
  })
  return found
}

/** How many columns are named under this node, subqueries included; each way of writing one counts once. */
export function columnsIn(node: Node | undefined): number {
  const found = new Set<string>()
  eachPart(node, (kind, part) => {
    if (kind !== 'ColumnRef') return false
    found.add(JSON.stringify(part['fields']))
    return true
  })
  return found.size
}

/** `isTaken`: what is under this part is not looked at. */
function eachPart(
  node: Node | undefined,
  isTaken: (kind: string, part: Readonly<Record<string, unknown>>) => boolean,
): void {
  const stack: unknown[] = [node]
  while (stack.length > 0) {
    const value = stack.pop()
    if (Array.isArray(value)) for (const each of value) stack.push(each)
    if (!isFields(value)) continue
    for (const key in value) {
      const child = value[key]
      if (isFields(child) && isTaken(key, child)) continue
      if (typeof child === 'object') stack.push(child)
    }
  }
}
