import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import type { Document } from 'yaml'
import type { Position } from '../../core/index.ts'
import { LIMITS } from '../../core/index.ts'
import type { DescriptionProblem } from '../problem.ts'
import { readStrictJson } from '../strict-json.ts'

/** A file of YAML or JSON, and the way back from a path in it to line and column. */
export type SourceDocument = { readonly content: unknown; placeOf(path: readonly PropertyKey[]): Position }

/** Reads a file that is JSON or YAML 1.2. Names twice in one mapping, and aliases that unfold to very much, are refused. */
export function readDocument(text: string): SourceDocument | DescriptionProblem {
  if (Buffer.byteLength(text) > LIMITS.apiDescriptionBytesMax) {
    const message = `expected at most ${LIMITS.apiDescriptionBytesMax} bytes`
    return { line: 1, column: 1, message, fix: 'leave out what is not served' }
  }
  // A reader of JSON is fifty times as fast, and places are wanted only where something is wrong.
  if (/^\s*\{/.test(text)) {
    const json = readStrictJson(text)
    if (json.ok) return { content: json.value, placeOf: (path) => placeIn(parsed(text), path) }
  }
  const yaml = parsed(text)
  const [error] = yaml.document.errors
  if (error !== undefined) {
    const [line = ''] = error.message.split('\n')
    return {
      ...position(yaml, error.pos[0]),
      message: `expected YAML or JSON: ${line}`,
      fix: 'correct the file',
    }
  }
  try {
    return {
      content: yaml.document.toJS({ maxAliasCount: LIMITS.apiDescriptionAliasesMax }),
      placeOf: (path) => placeIn(yaml, path),
    }
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error
    return { line: 1, column: 1, message: 'expected fewer aliases', fix: 'write the values out' }
  }
}

type Parsed = { readonly document: Document.Parsed; readonly lines: LineCounter }

function parsed(text: string): Parsed {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    strict: true,
    stringKeys: true,
    uniqueKeys: true,
    prettyErrors: false,
    logLevel: 'error',
  })
  return { document, lines }
}

/** Where the value at a path stands; for one that is not there, the nearest thing around it. */
function placeIn(source: Parsed, path: readonly PropertyKey[]): Position {
  let node: unknown = source.document.contents
  let offset = 0
  for (const step of path) {
    if (isSeq(node)) {
      const item: unknown = node.items[Number(step)]
      if (item === undefined) break
      node = item
    } else if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
      if (pair === undefined) break
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset
      node = pair.value
      continue
    } else break
    if (isMap(node) || isSeq(node) || isScalar(node)) offset = node.range?.[0] ?? offset
  }
  return position(source, offset)
}

function position({ lines }: Parsed, offset: number): Position {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(1, line), column: Math.max(1, col) }
}
