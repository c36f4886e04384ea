import { styleText } from 'node:util'
import { brokenAt } from '../core/index.ts'
import { safe } from '../recording/index.ts'

export type Column = { readonly title: string; readonly right?: boolean }

/**
 * Rows under their titles, aligned. Nothing in a cell can move the cursor, or begin a line: where the output is a terminal, rows are cut
 * to its width. Colour only there.
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  room = terminalColumns(),
): string {
  const cells = rows.map((row) => columns.map((_, index) => safe(row[index] ?? '')))
  const widths = columns.map((column, index) =>
    Math.max(widthOf(column.title), ...cells.map((row) => widthOf(row[index] ?? ''))),
  )
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => pad(cell, widths[index] ?? 0, columns[index]?.right === true))
      .join('  ')
      .trimEnd()
  const cut = (text: string): string => cutToColumns(text, room)
  const head = styleText('bold', cut(line(columns.map((column) => column.title))))
  return [head, ...cells.map((row) => cut(line(row)))].join('\n')
}

/** A table, or one sentence when there is nothing. */
export function listing(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  empty: string,
): string {
  return rows.length === 0 ? empty : table(columns, rows)
}

/** Names and values below each other; a value that is too long for a line goes on below its beginning. */
export function facts(
  pairs: readonly (readonly [name: string, value: string])[],
  room = terminalColumns(),
): string {
  const width = Math.max(...pairs.map(([name]) => name.length))
  const below = `\n${' '.repeat(width + 2)}`
  return pairs
    .map(([name, value]) => {
      const rows = brokenAt(safe(value), Math.max(20, room - width - 2), columnsOf)
      return `${styleText('bold', name.padEnd(width))}  ${rows.join(below)}`
    })
    .join('\n')
}

/** How many columns a line may have before it is broken; no limit where the output is no terminal. */
export function terminalColumns(stream: NodeJS.WriteStream = process.stdout): number {
  return stream.isTTY ? Math.max(40, stream.columns) : Number.POSITIVE_INFINITY
}

function cutToColumns(text: string, room: number): string {
  if (widthOf(text) <= room) return text
  const [first = ''] = brokenAt(text, room - 3, columnsOf)
  return `${first}...`
}

/** `3m ago`, `in 42m`. */
export function relative(time: number, now = Date.now()): string {
  const seconds = Math.round(Math.abs(time - now) / 1000)
  const [amount, unit] =
    seconds < 90
      ? [seconds, 's']
      : seconds < 90 * 60
        ? [Math.round(seconds / 60), 'm']
        : seconds < 36 * 3600
          ? [Math.round(seconds / 3600), 'h']
          : [Math.round(seconds / 86_400), 'd']
  return time > now ? `in ${amount}${unit}` : `${amount}${unit} ago`
}

export function instant(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')}Z`
}

function pad(text: string, width: number, right: boolean): string {
  const blanks = ' '.repeat(Math.max(0, width - widthOf(text)))
  return right ? blanks + text : text + blanks
}

const WIDE =
  /[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u

/** Columns on a terminal. */
function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += columnsOf(character)
  return width
}

/** Wide characters take two columns, combining ones none. */
export function columnsOf(character: string): number {
  if (/\p{Mn}/u.test(character)) return 0
  return WIDE.test(character) ? 2 : 1
}
