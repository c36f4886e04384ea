/**
 * The candidate that was probably meant, or `undefined` when none is near: at most a third of the letters differ, and
 * something stays the same.
 */
export function nearest(written: string, candidates: Iterable<string>): string | undefined {
  const enough = Math.max(1, Math.floor(Math.max(written.length, 3) / 3)) + 1
  let best: string | undefined
  let bestScore = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const distance = editDistance(written.toLowerCase(), candidate.toLowerCase(), enough)
    if (distance >= enough || distance >= Math.min(written.length, candidate.length)) continue
    // Among equals, people rarely get the first letter wrong: MB is MiB and not B.
    const score = distance * 2 + (candidate[0] === written[0] ? 0 : 1)
    if (score < bestScore) {
      best = candidate
      bestScore = score
    }
  }
  return best
}

/** Longer names are not compared: the work grows with the square. */
const LENGTH_MAX = 128

/**
 * Insertions, deletions, replacements and swaps of neighbours (optimal string alignment); at least `enough` is as good
 * as any larger number.
 */
export function editDistance(a: string, b: string, enough: number): number {
  if (Math.abs(a.length - b.length) >= enough || a.length > LENGTH_MAX || b.length > LENGTH_MAX) return enough
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let least = Math.min(
        at(previous, column) + 1,
        at(current, column - 1) + 1,
        at(previous, column - 1) + (same ? 0 : 1),
      )
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        least = Math.min(least, at(before, column - 2) + 1)
      }
      current.push(least)
    }
    before = previous
    previous = current
  }
  return Math.min(enough, at(previous, b.length))
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}
