import type { Problem } from '../core/index.ts'
import type { CedarError, CedarSchema } from './cedar.ts'
import { validateCedar } from './cedar.ts'

/** A policy's text to be held against the schema of every kind of connection that it is about. */
export type Check = {
  readonly text: string
  readonly schemas: ReadonlySet<CedarSchema>
  readonly invalid: (error: CedarError) => Problem
  readonly impossible: Problem
}

/**
 * Valid means valid for every schema, and possible for at least one. All texts of one schema are checked together:
 * reading a schema takes the engine longer than checking a text.
 */
export function runChecks(checks: readonly Check[]): Problem[] {
  const errors = new Map<Check, readonly CedarError[]>()
  const possible = new Set<Check>()
  for (const schema of new Set(checks.flatMap((check) => [...check.schemas]))) {
    const concerned = checks.filter((check) => check.schemas.has(schema))
    const found = validateCedar(
      schema,
      concerned.map((check) => check.text),
    )
    for (const [index, check] of concerned.entries()) {
      const validation = found[index]
      if (validation === undefined) throw new Error('a policy was not checked')
      // One schema's errors are enough: the others would say nearly the same.
      if (validation.errors.length > 0 && !errors.has(check)) errors.set(check, validation.errors)
      if (!validation.impossible) possible.add(check)
    }
  }
  return checks.flatMap((check) => {
    const wrong = errors.get(check)
    if (wrong !== undefined) return wrong.map(check.invalid)
    return check.schemas.size > 0 && !possible.has(check) ? [check.impossible] : []
  })
}
