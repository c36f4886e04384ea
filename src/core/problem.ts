/** A place in a file that a person wrote. Lines and columns count from 1, columns in UTF-16 units as editors do. */
export type Position = { readonly line: number; readonly column: number }

/** Something wrong in a configuration file: where, what was expected there, and what to write instead. */
export type Problem = Position & {
  readonly file: string
  /** `connections.crm.upstream.port`; empty for the file as a whole. */
  readonly path: string
  /** `expected a number, got "abc"`. Never shows a value that could be a secret. */
  readonly message: string
  /** `write "upstream"`: the nearest valid spelling, or what to write. */
  readonly fix: string
}

/** `sluice.yaml:4:11 connections.crm.port: expected a number, got "abc"; write a number`: one line. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, path, message, fix } = problem
  return `${file}:${line}:${column} ${path === '' ? '' : `${path}: `}${message}; ${fix}`
}
