/** `/customers/{id}`: literal segments, and names that stand for exactly one segment. */
export type RoutePattern = { readonly text: string; readonly segments: readonly Segment[] }

type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'name'; readonly name: string }

const NAME = /^\{([A-Za-z_][A-Za-z0-9_]*)\}$/
const LITERAL = /^[A-Za-z0-9\-._~!$&'()*+,;=:@]*$/

/** Undefined when the text is no pattern. */
export function parseRoutePattern(text: string): RoutePattern | undefined {
  if (!text.startsWith('/')) return undefined
  const segments: Segment[] = []
  for (const part of text.slice(1).split('/')) {
    const [, name] = NAME.exec(part) ?? []
    if (name !== undefined) segments.push({ kind: 'name', name })
    else if (LITERAL.test(part) && part !== '.' && part !== '..')
      segments.push({ kind: 'literal', text: part })
    else return undefined
  }
  return { text, segments }
}

/** Whether a path in normal form fits. A name fits one segment that is not empty. */
export function matchesRoute(pattern: RoutePattern, path: string): boolean {
  const parts = path.slice(1).split('/')
  if (parts.length !== pattern.segments.length) return false
  return pattern.segments.every((segment, i) =>
    segment.kind === 'literal' ? parts[i] === segment.text : (parts[i] ?? '') !== '',
  )
}

/**
 * Whether a path that does not fit may be one that does for a server which reads more generously: in either case, without parameters
 * and blanks and dots behind a segment, with its escapes undone, without the ending of a file.
 */
export function mayMatchRoute(pattern: RoutePattern, path: string): boolean {
  const parts = path.slice(1).split('/')
  if (parts.length !== pattern.segments.length) return false
  return pattern.segments.every((segment, i) => {
    if (segment.kind === 'name') return parts[i] !== ''
    const wanted = readGenerously(segment.text)
    const part = readGenerously(parts[i] ?? '')
    return part === wanted || part.replace(/\.[a-z0-9]{1,5}$/, '') === wanted
  })
}

function readGenerously(segment: string): string {
  const [plain = ''] = decodeURIComponent(segment).split(';')
  return plain
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[.\s]+$/, '')
}
