import { styleText } from 'node:util'
import { safe } from '../recording/index.ts'

export type Column = { readonly title: string; readonly right?: boolean }

/**
 * Rows under their titles, aligned. Nothing in a cell can move the cursor. Colour only where the output is a terminal.
 */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => columns.map((_, index) => safe(row[index] ?? '')))
  const widths = columns.map((column, index) =>
    Math.max(widthOf(column.title), ...cells.map((row) => widthOf(row[index] ?? ''))),
  )
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => pad(cell, widths[index] ?? 0, columns[index]?.right === true))
      .join('  ')
      .trimEnd()
  const head = styleText('bold', line(columns.map((column) => column.title)))
  return [head, ...cells.map(line)].join('\n')
}

/** A table, or one sentence when there is nothing. */
export function listing(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  empty: string,
): string {
  return rows.length === 0 ? empty : table(columns, rows)
}

/** Names and values below each other. */
export function facts(pairs: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${styleText('bold', name.padEnd(width))}  ${safe(value)}`).join('\n')
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

/** Columns on a terminal: wide characters take two, combining ones none. */
function widthOf(text: string): number {
  let width = 0
  for (const character of text) {
    if (/\p{Mn}/u.test(character)) continue
    width += WIDE.test(character) ? 2 : 1
  }
  return width
}
