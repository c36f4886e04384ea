import type { Position } from '../core/index.ts'

/** Something wrong in a description of an API: where in its file, and what to do. Shows names of it and no values. */
export type DescriptionProblem = Position & { readonly message: string; readonly fix: string }

/** A label that a description gives, where it stands. */
export type NamedLabel = Position & { readonly label: string }

export type Described<T> =
  | { readonly ok: true; readonly value: T; readonly labels: readonly NamedLabel[] }
  | { readonly ok: false; readonly problems: readonly DescriptionProblem[] }

/** Thrown inside of readers; what they return is a `Described`. */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly fix: string
  readonly at: readonly PropertyKey[]

  /** `at`: from the top of the document. */
  constructor(message: string, fix: string, at: readonly PropertyKey[]) {
    super(message)
    this.fix = fix
    this.at = at
  }
}
