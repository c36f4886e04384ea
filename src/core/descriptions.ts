import type { Position } from './problem.ts'

/** Gives the text of a file that a configuration names, by its path as it is written there; undefined: it cannot be read. */
export type ReadFile = (path: string) => string | undefined

/** A place in a file that a configuration names. */
export type InFile = Position & { readonly file: string }

/** What is wrong with such a file. Without a place in it: with how the settings at `path` name it. */
export type FileFault = { readonly message: string; readonly fix: string } & (
  | { readonly kind: 'in file'; readonly at: InFile }
  | { readonly kind: 'settings'; readonly path: readonly PropertyKey[] }
)

/** Settings with what the files say that they name, and the labels that these give. */
export type SettingsRead = {
  readonly settings: unknown
  readonly faults: readonly FileFault[]
  readonly labels: readonly { readonly label: string; readonly at: InFile }[]
}
