import type { Document, Node, YAMLError } from 'yaml'
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import type { Position, Problem, SourceText } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'

/** A value as YAML gives it, before any schema. */
export type Plain = string | number | boolean | null | readonly Plain[] | { readonly [key: string]: Plain }

export type Path = readonly PropertyKey[]

/** Where everything in the file stands, by path. */
type Place = {
  readonly value: Position
  readonly key?: Position
  readonly children: Map<PropertyKey, Place>
  readonly source?: SourceText
}

/** A file's content and the way back from a path in it to line and column. */
export class Tree {
  readonly file: string
  readonly content: Plain
  readonly #root: Place

  constructor(file: string, content: Plain, root: Place) {
    this.file = file
    this.content = content
    this.#root = root
  }

  /** Where the value stands; for a path that is not there, the nearest thing around it. */
  valueAt(path: Path): Position {
    return this.#find(path).place.value
  }

  /** Where the name of a mapping's entry stands. */
  keyAt(path: Path): Position {
    const { place } = this.#find(path)
    return place.key ?? place.value
  }

  has(path: Path): boolean {
    return this.#find(path).whole
  }

  /** The value as written, `undefined` when it is not there. */
  get(path: Path): Plain | undefined {
    let value: Plain | undefined = this.content
    for (const step of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
      value = Array.isArray(value)
        ? value[Number(step)]
        : Object.entries(value).find(([key]) => key === step)?.[1]
    }
    return value
  }

  /** A text with the places of its lines, for what has positions inside it. */
  sourceAt(path: Path): SourceText | undefined {
    const { place, whole } = this.#find(path)
    return whole ? place.source : undefined
  }

  problem(at: Position, path: Path, message: string, fix: string): Problem {
    return { file: this.file, line: at.line, column: at.column, path: pathText(path), message, fix }
  }

  #find(path: Path): { place: Place; whole: boolean } {
    let place = this.#root
    for (const step of path) {
      const child = place.children.get(step)
      if (child === undefined) return { place, whole: false }
      place = child
    }
    return { place, whole: true }
  }
}

/** `rules[2].permit.run`; keys that are not plain words are quoted. */
export function pathText(path: Path): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else if (/^[\w-]+$/.test(String(step))) text += text === '' ? String(step) : `.${String(step)}`
    else text += `[${JSON.stringify(String(step))}]`
  }
  return text
}

export type TreeResult =
  | { readonly ok: true; readonly tree: Tree }
  | { readonly ok: false; readonly problems: Problem[] }

/**
 * Reads one YAML 1.2 document strictly: no tabs, duplicate keys, anchors, aliases, tags, or second document. Whatever
 * could make two readers see two files is refused with its place.
 */
export function readTree(file: string, text: string): TreeResult {
  if (Buffer.byteLength(text) > LIMITS.configBytesMax) {
    const message = `expected at most ${LIMITS.configBytesMax} bytes`
    return {
      ok: false,
      problems: [{ file, line: 1, column: 1, path: '', message, fix: 'write a shorter file' }],
    }
  }
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    strict: true,
    stringKeys: true,
    uniqueKeys: true,
    prettyErrors: false,
    logLevel: 'error',
  })
  const reader = new Reader(file, text, lines)
  reader.complain(document)
  if (reader.problems.length > 0 || document.contents === null) {
    if (reader.problems.length === 0) reader.empty()
    return { ok: false, problems: reader.problems }
  }
  const read = reader.node(document.contents, [], undefined, 0)
  if (reader.problems.length > 0) return { ok: false, problems: reader.problems }
  return { ok: true, tree: new Tree(file, read.value, read.place) }
}

type Read = { readonly value: Plain; readonly place: Place }

class Reader {
  readonly problems: Problem[] = []
  readonly #file: string
  readonly #text: string
  readonly #lines: LineCounter

  constructor(file: string, text: string, lines: LineCounter) {
    this.#file = file
    this.#text = text
    this.#lines = lines
  }

  complain(document: Document.Parsed): void {
    // What follows the first error is often its echo.
    const [error] = [...document.errors, ...document.warnings]
    if (error !== undefined) {
      const { message, fix } = explainYaml(error)
      this.#add(error.pos[0], [], message, fix)
    }
    const { directives } = document
    if (directives?.yaml.explicit === true || Object.keys(directives?.tags ?? {}).length > 1) {
      const at = Math.max(0, this.#text.search(/^%/m))
      this.#add(at, [], 'expected YAML 1.2 without directives', 'remove the line that begins with %')
    }
  }

  empty(): void {
    this.#add(
      0,
      [],
      'expected a mapping with listen, connections and rules, got nothing',
      'write a configuration',
    )
  }

  node(node: Node | null, path: Path, key: Position | undefined, depth: number): Read {
    const offset = node?.range?.[0] ?? 0
    const position = node === null ? (key ?? { line: 1, column: 1 }) : this.#position(offset)
    const children = new Map<PropertyKey, Place>()
    const place = { value: position, children, ...(key === undefined ? {} : { key }) }
    if (node === null) return { value: null, place }
    if (isAlias(node)) {
      this.#add(offset, path, `expected a value, got the alias *${node.source}`, 'write the value out')
      return { value: null, place }
    }
    if (depth > LIMITS.configDepthMax) {
      this.#add(offset, path, `expected at most ${LIMITS.configDepthMax} levels`, 'nest less deeply')
      return { value: null, place }
    }
    if ('anchor' in node && node.anchor !== undefined) {
      this.#add(offset, path, `expected a value, got the anchor &${node.anchor}`, 'remove the anchor')
    }
    // Set only for a tag that is written.
    if (node.tag !== undefined) {
      this.#add(offset, path, `expected a value, got the tag ${node.tag}`, 'remove the tag')
    }
    if (isMap(node)) {
      const value: Record<string, Plain> = {}
      for (const pair of node.items) {
        const keyNode: unknown = pair.key
        if (!isScalar(keyNode) || typeof keyNode.value !== 'string') {
          this.#add(offset, path, 'expected a name before the colon', 'write a plain word as key')
          continue
        }
        const name = keyNode.value
        const at = this.#position(keyNode.range?.[0] ?? offset)
        if (name === '__proto__') {
          this.problems.push({
            ...this.#problem(at, [...path, name]),
            message: 'expected another name',
            fix: 'rename it',
          })
          continue
        }
        const child: unknown = pair.value
        const read = this.node(isNode(child) ? child : null, [...path, name], at, depth + 1)
        value[name] = read.value
        children.set(name, read.place)
      }
      return { value, place }
    }
    if (isSeq(node)) {
      const value = node.items.map((item: unknown, index) => {
        const read = this.node(isNode(item) ? item : null, [...path, index], undefined, depth + 1)
        children.set(index, read.place)
        return read.value
      })
      return { value, place }
    }
    const scalar: unknown = isScalar(node) ? node.value : null
    if (typeof scalar === 'string') {
      return { value: scalar, place: { ...place, source: this.#source(node, scalar, position) } }
    }
    if (typeof scalar === 'number' || typeof scalar === 'boolean' || scalar === null)
      return { value: scalar, place }
    this.#add(offset, path, 'expected text, a number, true or false', 'put the value in quotes')
    return { value: null, place }
  }

  #source(node: Node, text: string, at: Position): SourceText {
    const file = this.#file
    const [start = 0, end = 0] = node.range ?? []
    const written = this.#text.slice(start, end)
    if (written === text) return { file, text, starts: [at] }
    if (written.slice(1, -1) === text) return { file, text, starts: [{ ...at, column: at.column + 1 }] }
    const block = isScalar(node) && node.type === 'BLOCK_LITERAL' ? this.#blockStarts(text, at) : undefined
    return { file, text, starts: block ?? [at] }
  }

  /** A literal block holds the lines below its header, each without the indentation. */
  #blockStarts(text: string, header: Position): [Position, ...Position[]] | undefined {
    const lines = text.replace(/\n+$/, '').split('\n')
    const starts: Position[] = []
    for (const [index, line] of lines.entries()) {
      const number = header.line + 1 + index
      const from = this.#lines.lineStarts[number - 1] ?? 0
      const written = this.#text.slice(from).split(/\r?\n/, 1)[0] ?? ''
      if (!written.endsWith(line)) return undefined
      starts.push({ line: number, column: written.length - line.length + 1 })
    }
    const [first, ...rest] = starts
    return first === undefined ? undefined : [first, ...rest]
  }

  #add(offset: number, path: Path, message: string, fix: string): void {
    this.problems.push({ ...this.#problem(this.#position(offset), path), message, fix })
  }

  #problem(at: Position, path: Path): Omit<Problem, 'message' | 'fix'> {
    return { file: this.#file, line: at.line, column: at.column, path: pathText(path) }
  }

  #position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
}

function isNode(value: unknown): value is Node {
  return isMap(value) || isSeq(value) || isScalar(value) || isAlias(value)
}

/** What a person can do about the mistakes that YAML files really have; the library's words for the rest. */
function explainYaml(error: YAMLError): { message: string; fix: string } {
  switch (error.code) {
    case 'TAB_AS_INDENT':
      return { message: 'expected spaces, got a tab', fix: 'indent with spaces' }
    case 'DUPLICATE_KEY':
      return {
        message: 'expected each name once, got the same one again',
        fix: 'remove or rename one of them',
      }
    case 'MULTIPLE_DOCS':
      return {
        message: 'expected one document, got a second one',
        fix: 'remove the line --- and what follows',
      }
    case 'NON_STRING_KEY':
      return { message: 'expected a name before the colon', fix: 'write a plain word as key' }
    case 'RESOURCE_EXHAUSTION':
      return { message: 'expected less deep nesting', fix: 'nest less deeply' }
    case 'MISSING_CHAR':
      return { message: sentence(error.message), fix: 'add it' }
    case 'BLOCK_AS_IMPLICIT_KEY':
      return { message: 'expected one value, got a second colon', fix: 'put the value in quotes' }
    case 'BAD_SCALAR_START':
      return { message: sentence(error.message), fix: 'put the value in quotes' }
    case 'TAG_RESOLVE_FAILED':
      return { message: 'expected a value, got a tag', fix: 'remove what begins with !' }
    case 'BAD_INDENT':
      return { message: sentence(error.message), fix: 'indent it further than the line it belongs to' }
    default:
      return { message: sentence(error.message), fix: 'correct the YAML' }
  }
}

/** The library's message on one line, without what it quotes of the file. */
function sentence(message: string): string {
  const [line = ''] = message.split('\n')
  return line.charAt(0).toLowerCase() + line.slice(1).replace(/:$/, '')
}
