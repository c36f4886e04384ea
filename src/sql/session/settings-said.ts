import type { Node, VariableSetStmt } from 'libpg-query'
import { constantText } from '../parse/tree.ts'

/** As the text has it, or the number of the parameter that it is, from 1. Undefined: its default. */
export type Given = string | { readonly parameter: number }

/** A setting that a statement changes, for people to read. */
export type SettingSaid = {
  readonly name: Given
  /** Undefined: what it is by default. */
  readonly value: Given | undefined
  /** Only until the end of the transaction. */
  readonly local: boolean
}

/** Of SET and RESET: what they change, in the words of the statement. */
export function settingSaid({ kind, name = '', args, is_local: isLocal }: VariableSetStmt): SettingSaid[] {
  const local = isLocal === true
  switch (kind) {
    case 'VAR_SET_VALUE': {
      const value = (args ?? []).map(textOf).join(', ')
      return [{ name: name.toLowerCase(), value, local }]
    }
    case 'VAR_SET_DEFAULT':
    case 'VAR_RESET':
      return [{ name: name.toLowerCase(), value: undefined, local }]
    case 'VAR_SET_MULTI':
      return [{ name: name.toLowerCase(), value: (args ?? []).map(modeText).join(', '), local }]
    default:
      return []
  }
}

/** Of a statement that is nothing but calls of set_config: what each of them changes. */
export function setConfigSaid(node: Node): SettingSaid[] {
  if (!('SelectStmt' in node)) return []
  return (node.SelectStmt.targetList ?? []).flatMap((target) => {
    const call = 'ResTarget' in target ? target.ResTarget.val : undefined
    if (call === undefined || !('FuncCall' in call)) return []
    const [name, value, local] = call.FuncCall.args ?? []
    const isLocal = local !== undefined && /^(?:t|true|y|yes|on|1)$/i.test(constantText(local) ?? '')
    const given = givenOf(name)
    return given === undefined
      ? []
      : [
          {
            name: typeof given === 'string' ? given.toLowerCase() : given,
            value: givenOf(value),
            local: isLocal,
          },
        ]
  })
}

function givenOf(node: Node | undefined): Given | undefined {
  if (node === undefined) return undefined
  if ('TypeCast' in node) return givenOf(node.TypeCast.arg)
  if ('ParamRef' in node) return { parameter: node.ParamRef.number ?? 0 }
  return constantText(node)
}

function textOf(node: Node): string {
  return constantText(node) ?? 'something'
}

/** `isolation level serializable`; what is a number is on or off. */
function modeText(node: Node): string {
  if (!('DefElem' in node)) return textOf(node)
  const { defname = '', arg } = node.DefElem
  return `${defname.replaceAll('_', ' ')} ${arg === undefined ? '' : textOf(arg)}`.trim()
}
