import { z } from 'zod'
import { LIMITS, OUTSIDE_COMMANDS } from '../../core/index.ts'
import { safe, safeText } from '../../recording/index.ts'
import type { ResultColumn, ResultPart } from '../../results/index.ts'
import { inputPart, resultParts } from '../../results/index.ts'
import { table } from '../table.ts'
import type { ShownEntry } from './entries.ts'

/** What appears at one moment of a replay, without a newline at its end. */
export type Scene = { readonly time: number; readonly text: string }

export const opening = z.looseObject({ protocol: z.string() })
const numbered = z.looseObject({ n: z.number() })

/** Below the time of an entry, as the lines of its statement. */
const MARGIN = `${' '.repeat(14)}| `

/** What was kept of the results of commands that have not ended yet. */
export class KeptResults {
  readonly #erased = new Set<number>()
  readonly #bodies = new Map<number, { readonly parts: Buffer[]; length: number; left: number }>()
  #length = 0
  protocol = ''

  /** Takes what the entry brings of a result. */
  take({ kind, head, body, erased }: ShownEntry): void {
    if (kind === 'open') this.protocol = opening.parse(head).protocol
    if (erased?.includes('body') === true) this.#erased.add(numbered.parse(head).n)
    if (body === undefined || kind === 'input') return
    const { n } = numbered.parse(head)
    if (n === OUTSIDE_COMMANDS) return
    const known = this.#bodies.get(n) ?? { parts: [], length: 0, left: 0 }
    this.#bodies.set(n, known)
    const bytes = Buffer.from(body, 'base64')
    const room = LIMITS.replayBytesMax - this.#length
    const kept = bytes.subarray(0, Math.max(0, room))
    known.parts.push(kept)
    known.length += kept.length
    known.left += bytes.length - kept.length
    this.#length += kept.length
  }

  /** The result of a command that has ended, how many of its bytes were left out here, and whether any were erased. */
  end(n: number): { readonly bytes: Buffer; readonly left: number; readonly erased: boolean } {
    const erased = this.#erased.delete(n)
    const known = this.#bodies.get(n)
    this.#bodies.delete(n)
    this.#length -= known?.length ?? 0
    return { bytes: Buffer.concat(known?.parts ?? []), left: known?.left ?? 0, erased }
  }
}

/** A recording as a play: each entry at its time, each result as its client saw it, in front of how it ended. */
export async function* scenes(entries: AsyncIterable<ShownEntry>, rowsMax: number): AsyncGenerator<Scene> {
  const results = new KeptResults()
  for await (const entry of entries) {
    results.take(entry)
    if (entry.kind === 'result') {
      if (isTold(entry)) yield { time: entry.time, text: toldText(entry, results.protocol, rowsMax) }
    } else if (entry.kind === 'outcome') {
      const { bytes, left, erased } = results.end(numbered.parse(entry.head).n)
      // What is left of a result of which a piece was erased is none.
      const lines = erased
        ? [`${MARGIN}(what the client saw was erased)`]
        : shownLines(results.protocol, bytes, rowsMax)
      if (left > 0) lines.push(`${MARGIN}(${left} more bytes are not shown)`)
      yield { time: entry.time, text: [...lines, entry.text].join('\n') }
    } else if (entry.kind === 'input') {
      yield { time: entry.time, text: sentText(entry, rowsMax) }
    } else yield { time: entry.time, text: isLook(entry) ? foldedText(entry) : entry.text }
  }
}

/** Whether the gateway itself asked, what code stands behind a command: each time in the same words. */
function isLook({ kind, head }: ShownEntry): boolean {
  return kind === 'intent' && head['form'] === 'code'
}

/** That, in one line: it is no part of what the client did. */
function foldedText({ text }: ShownEntry): string {
  const [first = '', ...lines] = text.split('\n')
  return [first, `${MARGIN}(${lines.length} lines of the gateway's own; sluice sessions show has them)`].join(
    '\n',
  )
}

/** Whether it is what the client was told outside of commands. */
export function isTold({ kind, head }: ShownEntry): boolean {
  return kind === 'result' && numbered.parse(head).n === OUTSIDE_COMMANDS
}

/** The entry with what it says, line by line. */
export function toldText({ text, body }: ShownEntry, protocol: string, rowsMax: number): string {
  return [text, ...shownLines(protocol, Buffer.from(body ?? '', 'base64'), rowsMax)].join('\n')
}

/** The entry with what the client sent, cut where it came in several pieces. */
function sentText({ text, body }: ShownEntry, rowsMax: number): string {
  const bytes = Buffer.from(body ?? '', 'base64')
  return bytes.length === 0 ? text : [text, ...linesOf([inputPart(bytes)], rowsMax)].join('\n')
}

function shownLines(protocol: string, bytes: Buffer, rowsMax: number): string[] {
  return linesOf(resultParts(protocol, bytes), rowsMax)
}

function linesOf(parts: Iterable<ResultPart>, rowsMax: number): string[] {
  return [...shownParts(parts, rowsMax)].flatMap((each) => each.split('\n')).map((line) => MARGIN + line)
}

/** Parts of a result as text for a terminal, in which nothing can move the cursor or hide. */
function* shownParts(parts: Iterable<ResultPart>, rowsMax: number): Generator<string> {
  let columns: readonly ResultColumn[] = []
  let rows: (readonly string[])[] = []
  let count = 0
  let lines = 0
  const ended = function* (): Generator<string> {
    if (columns.length === 0) return
    yield tableText(columns, rows)
    const more = count > rows.length ? `, ${rows.length} shown` : ''
    yield `(${count} row${count === 1 ? '' : 's'}${more})`
    columns = []
    rows = []
    count = 0
  }
  for (const part of parts) {
    switch (part.kind) {
      case 'columns':
        yield* ended()
        columns = part.columns
        break
      case 'row':
        count++
        if (rows.length < rowsMax) rows.push(part.cells.map((cell) => cellText(cell)))
        break
      case 'tag':
        yield* ended()
        break
      case 'error':
      case 'notice':
        yield* ended()
        yield safe(`${part.kind === 'error' ? 'ERROR' : 'NOTICE'} ${part.code}: ${part.message}`)
        break
      case 'text':
        for (const line of safeText(part.text).split('\n')) {
          lines++
          if (lines <= rowsMax) yield cut(line, TEXT_CHARACTERS)
        }
        break
      case 'bytes':
        lines++
        if (lines <= rowsMax) yield cut(`\\x${part.hex}`, TEXT_CHARACTERS)
        break
      case 'broken':
        yield* ended()
        yield `(the last ${part.length} bytes are cut or no part of a result)`
        break
    }
  }
  yield* ended()
  if (lines > rowsMax) yield `(${lines} lines, ${rowsMax} shown)`
}

/** Longer values are cut: a replay is for looking at. */
const CELL_CHARACTERS = 60
const TEXT_CHARACTERS = 2_000

function cellText(cell: string | null): string {
  return cell === null ? 'NULL' : cut(safe(cell.slice(0, CELL_CHARACTERS + 1)), CELL_CHARACTERS)
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max)}…`
}

function tableText(columns: readonly ResultColumn[], rows: readonly (readonly string[])[]): string {
  const isNumber = (index: number): boolean =>
    rows.every((row) => /^(?:-?\d+(?:\.\d+)?|NULL)$/.test(row[index] ?? '')) &&
    rows.some((row) => row[index] !== 'NULL')
  return table(
    columns.map(({ name }, index) => ({
      title: name === '' ? `(${index + 1})` : cut(safe(name), CELL_CHARACTERS),
      right: isNumber(index),
    })),
    rows,
  )
}
