import type { JsonPaths, Place } from '../json-paths.ts'

/** The steps of a path in the name of a field of a form or a table: `customer[email]`, `items[0].email`, `customer/email`. */
export function stepsOf(name: string): readonly string[] {
  return name.split(/[[\]./]+/).filter((each) => each !== '')
}

/** Where the name of a field leads, as it is written and as the paths it may be: what masks any of them, masks it. */
export function placeOfName(paths: JsonPaths, from: Place, name: string): Place {
  const inBrackets = name.split(/[[\]]+/).filter((each, n) => n === 0 || each !== '')
  return paths.either([
    paths.named(from, name),
    lead(paths, from, inBrackets),
    lead(paths, from, stepsOf(name)),
  ])
}

function lead(paths: JsonPaths, from: Place, steps: readonly string[]): Place {
  let place = from
  for (const step of steps) {
    place = /^\d+$/.test(step) ? paths.element(place) : paths.named(place, step)
    // What is inside of a value that is masked goes with it: `email[0]`, `email[work]`.
    if (place.masker !== undefined) return place
  }
  // `items[]`, with nothing inside, is a list of values.
  return paths.either([place, paths.element(place)])
}
