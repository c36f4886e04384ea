import type { Connection } from '../core/index.ts'

/**
 * How long a held command waits inline, in milliseconds. What a client calls itself is a hint that anybody can give: it makes
 * the wait longer or shorter, and nothing else depends on it.
 */
export function patienceOf(
  { patienceMs, patienceFor = [] }: Pick<Connection, 'patienceMs' | 'patienceFor'>,
  program: string,
): number {
  const name = program.toLowerCase()
  return patienceFor.find((each) => isLike(name, each.program.toLowerCase()))?.ms ?? patienceMs
}

/** Each part between the stars is looked for behind the one before: linear, whatever is written. */
function isLike(name: string, pattern: string): boolean {
  const [first = '', ...others] = pattern.split('*')
  const last = others.pop()
  if (last === undefined) return name === first
  if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last))
    return false
  const end = name.length - last.length
  let at = first.length
  for (const part of others) {
    const found = name.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
