/** A stretch of a text, in UTF-16 units. */
export type Hit = { readonly from: number; readonly to: number }

/** What recognises one kind of sensitive text by its look. Pure, without state, linear in the text. */
export interface Detector {
  readonly name: string
  /** All hits, in order and apart from each other. */
  find(text: string): readonly Hit[]
  /** What a hit goes on with where it is longer than the window: one sticky run of characters. */
  readonly rest: RegExp
}

/** The matches of a pattern (flag `g`) of which `accepted` gives a hit. `needs`: without it there is none. */
export function matchesOf(
  text: string,
  pattern: RegExp,
  needs: string,
  accepted: (found: string) => boolean = () => true,
): readonly Hit[] {
  if (!text.includes(needs)) return []
  const hits: Hit[] = []
  for (const found of text.matchAll(pattern)) {
    if (accepted(found[0])) hits.push({ from: found.index, to: found.index + found[0].length })
  }
  return hits
}
