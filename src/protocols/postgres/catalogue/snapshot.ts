import { z } from 'zod'
import { catalogueNames } from './catalogue.ts'

/**
 * The definitions of a database as text, the same text for the same definitions: the rows with which the server answered the
 * questions of the catalogue, by the names of these. docs/formats/snapshots.md tells what they are.
 */
export type Answer = readonly (readonly (string | null)[])[]

const KIND = 'postgres catalogue'

const snapshot = z.object({
  kind: z.literal(KIND),
  answers: z.record(z.string(), z.array(z.array(z.string().nullable()))),
})

/** The server gives rows in whichever order; columns come by relation and number, and stay so. */
export function inOrder(answers: readonly Answer[]): readonly Answer[] {
  return answers.map((rows, at) => (catalogueNames[at] === 'columns' ? rows : sorted(rows)))
}

function sorted(rows: Answer): Answer {
  const keyed = rows.map((row) => ({ row, key: JSON.stringify(row) }))
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  return keyed.map(({ row }) => row)
}

export function snapshotText(answers: readonly Answer[]): string {
  const named = Object.fromEntries(catalogueNames.map((name, at) => [name, answers[at] ?? []]))
  return JSON.stringify({ kind: KIND, answers: named })
}

/** What `snapshotText` was made of; undefined: this is none, or one of a version that asked other questions. */
export function answersIn(text: string): readonly Answer[] | undefined {
  const read = snapshot.safeParse(JSON.parse(text))
  if (!read.success) return undefined
  const answers = catalogueNames.flatMap((name) => {
    const rows = read.data.answers[name]
    return rows === undefined ? [] : [rows]
  })
  return answers.length === catalogueNames.length ? answers : undefined
}
