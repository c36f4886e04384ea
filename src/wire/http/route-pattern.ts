/** `/customers/{id}`: literal segments, and names that stand for exactly one segment, or for a part of one. */
export type RoutePattern = { readonly text: string; readonly segments: readonly Segment[] }

type Segment =
  /** `loose`: as `looseParts` has it. */
  | { readonly kind: 'literal'; readonly text: string; readonly loose: string }
  | { readonly kind: 'name'; readonly name: string }
  /** Literal text with one or two names in it, such as `{id}.json`. */
  | { readonly kind: 'mixed'; readonly matches: RegExp; readonly loosely: RegExp }

const NAME = /^\{([A-Za-z_][A-Za-z0-9_]*)\}$/
const MIXED_NAMES_MAX = 2
const LITERAL = /^[A-Za-z0-9\-._~!$&'()*+,;=:@]*$/

/** Undefined when the text is no pattern. */
export function parseRoutePattern(text: string): RoutePattern | undefined {
  if (!text.startsWith('/')) return undefined
  const segments: Segment[] = []
  for (const part of text.slice(1).split('/')) {
    const [, name] = NAME.exec(part) ?? []
    if (name !== undefined) segments.push({ kind: 'name', name })
    else if (LITERAL.test(part) && part !== '.' && part !== '..')
      segments.push({ kind: 'literal', text: part, loose: readGenerously(part) })
    else {
      const matches = mixed(part)
      if (matches === undefined) return undefined
      segments.push({ kind: 'mixed', matches, loosely: new RegExp(matches.source, 'i') })
    }
  }
  return { text, segments }
}

/** Names stand apart, so that there are not many ways to tell what belongs to which. */
function mixed(part: string): RegExp | undefined {
  const pieces = part.split(/(\{[^{}]*\})/)
  const names = pieces.filter((_, n) => n % 2 === 1)
  const literals = pieces.filter((_, n) => n % 2 === 0)
  const isOurs = names.every((name) => NAME.test(name)) && literals.every((text) => LITERAL.test(text))
  if (!isOurs || names.length === 0 || names.length > MIXED_NAMES_MAX) return undefined
  if (literals.slice(1, -1).includes('')) return undefined
  return new RegExp(`^${literals.map((text) => text.replaceAll(/[$()*+.]/g, '\\$&')).join('.+')}$`)
}

/** Whether a path that fits `a` is rather meant by it than by `b`: what is written out stands before what has names in it. */
export function comparePatterns(a: RoutePattern, b: RoutePattern): number {
  for (const [n, segment] of a.segments.entries()) {
    const order = RANKS[segment.kind] - RANKS[b.segments[n]?.kind ?? 'name']
    if (order !== 0) return order
  }
  return 0
}

const RANKS = { literal: 0, mixed: 1, name: 2 } as const satisfies Record<Segment['kind'], number>

/** Whether a path in normal form fits. A name fits one segment that is not empty. */
export function matchesRoute(pattern: RoutePattern, path: string): boolean {
  const parts = path.slice(1).split('/')
  if (parts.length !== pattern.segments.length) return false
  return pattern.segments.every((segment, i) => {
    const part = parts[i] ?? ''
    if (segment.kind === 'literal') return part === segment.text
    return segment.kind === 'name' ? part !== '' : segment.matches.test(part)
  })
}

type LoosePart = { readonly whole: string; readonly withoutEnding: string }

/**
 * The segments of a path as a server may have them that reads more generously: in either case, without parameters and blanks and dots
 * behind a segment, with its escapes undone, without the ending of a file.
 */
export function looseParts(path: string): readonly LoosePart[] {
  return path
    .slice(1)
    .split('/')
    .map((part) => {
      const whole = readGenerously(part)
      return { whole, withoutEnding: whole.replace(/\.[a-z0-9]{1,5}$/, '') }
    })
}

/** Whether a path that does not fit may be one that does for such a server. */
export function mayMatchRoute({ segments }: RoutePattern, parts: readonly LoosePart[]): boolean {
  if (parts.length !== segments.length) return false
  return segments.every((segment, i) => {
    const { whole = '', withoutEnding = '' } = parts[i] ?? {}
    if (segment.kind === 'name') return whole !== ''
    if (segment.kind === 'mixed') return segment.loosely.test(whole)
    return whole === segment.loose || withoutEnding === segment.loose
  })
}

function readGenerously(segment: string): string {
  const [plain = ''] = decodeURIComponent(segment).split(';')
  return plain
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[.\s]+$/, '')
}
