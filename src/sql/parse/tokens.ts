import { isFields } from './tree.ts'

/** One token of a text, where it stands in bytes: `[start, end)`. */
export type Token = {
  /** A number or a string however it is written; a name or keyword; `--` and the other comments. */
  readonly kind: 'literal' | 'word' | 'comment' | 'other'
  readonly start: number
  readonly end: number
}

/** Numbers of tokens in the grammar of libpg_query 18 (`enum Token` in pg_query.proto). */
const LITERALS: ReadonlySet<unknown> = new Set([260, 261, 262, 263, 264, 266])
const COMMENTS: ReadonlySet<unknown> = new Set([275, 276])
/** IDENT and UIDENT; keywords have a kind of keyword, and so has everything that is spelled like a name. */
const NAMES: ReadonlySet<unknown> = new Set([258, 259])

/** Of what the scanner gives as JSON; undefined when that is not what it should be. */
export function tokensOf(json: string): readonly Token[] | undefined {
  const found: unknown = parsed(json)
  const list: unknown = isFields(found) ? found['tokens'] : undefined
  if (!Array.isArray(list)) return undefined
  const tokens: Token[] = []
  const items: readonly unknown[] = list
  for (const item of items) {
    const { start, end, tokenType: type, keywordKind } = isFields(item) ? item : {}
    if (typeof start !== 'number' || typeof end !== 'number' || typeof type !== 'number') return undefined
    if (start < (tokens.at(-1)?.end ?? 0) || end <= start) return undefined
    tokens.push({ kind: kindOf(type, keywordKind), start, end })
  }
  return tokens
}

function kindOf(type: number, keywordKind: unknown): Token['kind'] {
  if (LITERALS.has(type)) return 'literal'
  if (COMMENTS.has(type)) return 'comment'
  return NAMES.has(type) || (typeof keywordKind === 'number' && keywordKind > 0) ? 'word' : 'other'
}

/** A complaint is no JSON. */
function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
