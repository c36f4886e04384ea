import type { RoutePattern } from '../../wire/http/index.ts'

type Node<T> = {
  readonly literals: Map<string, Node<T>>
  name: Node<T> | undefined
  readonly mixed: { readonly matches: RegExp; readonly node: Node<T> }[]
  /** The first whose pattern ends here, and as which one it stood. */
  end: { readonly at: number; readonly value: T } | undefined
}

/** Routes by the segments of their patterns: thousands of them are looked for among one another. */
export class RouteIndex<T> {
  readonly #roots = new Map<string, Node<T>>()
  #size = 0

  add(method: string, { segments }: RoutePattern, value: T): void {
    let node = this.#roots.get(method) ?? empty<T>()
    this.#roots.set(method, node)
    for (const segment of segments) {
      if (segment.kind === 'literal') {
        const next = node.literals.get(segment.text) ?? empty<T>()
        node.literals.set(segment.text, next)
        node = next
      } else if (segment.kind === 'name') {
        node.name ??= empty<T>()
        node = node.name
      } else {
        const { matches } = segment
        const known = node.mixed.find((each) => each.matches.source === matches.source)
        const next = known?.node ?? empty<T>()
        if (known === undefined) node.mixed.push({ matches, node: next })
        node = next
      }
    }
    node.end ??= { at: this.#size, value }
    this.#size++
  }

  /** Of those that a path fits, the one that was added first. A path may have names of patterns in it, as any segment. */
  first(method: string, path: string): T | undefined {
    const root = this.#roots.get(method)
    return root === undefined ? undefined : firstIn(root, path.slice(1).split('/'), 0)?.value
  }
}

function empty<T>(): Node<T> {
  return { literals: new Map(), name: undefined, mixed: [], end: undefined }
}

function firstIn<T>(node: Node<T>, parts: readonly string[], depth: number): Node<T>['end'] {
  const part = parts[depth]
  if (part === undefined) return node.end
  const next = [
    node.literals.get(part),
    part === '' ? undefined : node.name,
    ...node.mixed.filter(({ matches }) => matches.test(part)).map((each) => each.node),
  ]
  let first: Node<T>['end']
  for (const each of next) {
    const found = each === undefined ? undefined : firstIn(each, parts, depth + 1)
    if (found !== undefined && (first === undefined || found.at < first.at)) first = found
  }
  return first
}
