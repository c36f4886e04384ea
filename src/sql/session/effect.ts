import type { Node } from 'libpg-query'

/** A query as the grammar has it. */
export type QueryTree = Node

/** What one statement leaves behind in its session, once it has run, that statements behind it depend on. */
export type Effect =
  | { readonly kind: 'begin' | 'commit' | 'rollback' }
  /** It was committed as soon as it had run, with all that was done so far, whatever becomes of the rest. */
  | { readonly kind: 'settle' }
  | { readonly kind: 'savepoint' | 'release' | 'rollbackTo'; readonly name: string }
  | { readonly kind: 'path'; readonly path: Path; readonly local: boolean }
  | { readonly kind: 'role'; readonly role: Role; readonly local: boolean }
  | { readonly kind: 'make'; readonly name: string; readonly own: Own }
  | { readonly kind: 'drop'; readonly names: readonly string[] }
  | { readonly kind: 'discard'; readonly what: 'all' | 'temporary' }
  | { readonly kind: 'prepare'; readonly name: string; readonly query: Node }
  /** Without a name: all of them. */
  | { readonly kind: 'deallocate' | 'close'; readonly name?: string }
  | { readonly kind: 'declare'; readonly name: string; readonly query: Node; readonly hold: boolean }
  /** Needs to know what has this name. */
  | { readonly kind: 'run' | 'fetch'; readonly name: string }
  /** What the session has made may hold protected values from now on. */
  | { readonly kind: 'taint' }
  /** Nothing is known any more of where names are looked for, or of what the session has made. */
  | { readonly kind: 'lose' }

/** Schemas in the order in which they are searched. */
export type Path = readonly string[] | 'default'
/** `none` is who logged in, `default` what the session began with. */
export type Role = { readonly name: string } | 'none' | 'default'

/** A relation or type that this session has made. */
export type Own = {
  readonly schema?: string
  /** In the order of a star; absent: not known. */
  readonly columns?: readonly string[]
  readonly temporary: boolean
  /** Protected values may be in it. */
  readonly tainted: boolean
  /** Relations of the catalogue that show through it for as long as it is there. */
  readonly reads: readonly number[]
  /** The state of what is in labelled reach when it was found that nothing protected shows through it. */
  readonly clearAt?: string
  readonly endsWithTransaction: boolean
}
