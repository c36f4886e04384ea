import type { A_Const, Node, ParamRef } from 'libpg-query'
import { isFields } from '../parse/tree.ts'

/** A value that a client gives in a statement: a constant in its text, or a parameter. */
export type Given = A_Const | ParamRef

/** All that is given under this node, subqueries included. */
export function givenIn(node: Node | undefined): Given[] {
  const found: Given[] = []
  const stack: unknown[] = [node]
  while (stack.length > 0) {
    const value = stack.pop()
    if (Array.isArray(value)) for (const each of value) stack.push(each)
    if (!isFields(value)) continue
    for (const key in value) {
      const child = value[key]
      if ((key === 'A_Const' || key === 'ParamRef') && isFields(child)) found.push(child)
      else if (typeof child === 'object') stack.push(child)
    }
  }
  return found
}
