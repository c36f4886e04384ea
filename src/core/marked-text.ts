/** The first `max` characters, and no half of one. */
export function cutAt(text: string, max: number): string {
  if (text.length <= max) return text
  const last = text.charCodeAt(max - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? max - 1 : max)
}

/** In front of each line of a text of others: a line of ours never begins with it. */
const MARK = '| '
/** In front of what says something of the text in its midst. */
const NOTE = '~ '
/** More rows than these without anything in them are told in one line. */
const EMPTY_MAX = 2

/**
 * Lines of others as nobody takes them for lines of ours: each has a mark, runs of lines with nothing but blanks are told by their number.
 * `width`: columns of a terminal, which would break a longer line and begin the rest where only our lines begin; absent: they are not
 * broken. `widthOf`: columns that a character takes. The text has been made visible before (`safeText`).
 */
export function markedLines(
  text: string,
  width?: number,
  widthOf: (character: string) => number = () => 1,
): string[] {
  const room = width === undefined ? Number.POSITIVE_INFINITY : Math.max(8, width - MARK.length)
  const out: string[] = []
  let empty: string[] = []
  const flush = (): void => {
    if (empty.length > EMPTY_MAX) out.push(`${NOTE}${empty.length} lines with nothing but blanks`)
    else out.push(...empty.map((row) => MARK + row))
    empty = []
  }
  for (const line of text.split('\n')) {
    for (const row of brokenAt(line, room, widthOf)) {
      if (row.trim() === '') {
        empty.push(row)
        continue
      }
      flush()
      out.push(MARK + row)
    }
  }
  flush()
  return out
}

/** A line in pieces of so many columns at most; what nothing is in is one piece. */
export function brokenAt(
  line: string,
  room: number,
  widthOf: (character: string) => number = () => 1,
): string[] {
  if (line.length <= room / 2) return [line]
  const rows: string[] = []
  let row = ''
  let taken = 0
  for (const character of line) {
    const columns = widthOf(character)
    if (taken + columns > room && row !== '') {
      rows.push(row)
      row = ''
      taken = 0
    }
    row += character
    taken += columns
  }
  return [...rows, row]
}
