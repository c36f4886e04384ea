import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/**
 * One instance of PostgreSQL's own grammar (libpg-query: PostgreSQL 18, compiled to WebAssembly).
 *
 * The package's own front door keeps a single instance for the life of the process. An instance whose stack has
 * overflowed answers later statements with memory faults, or never (libpg_query pull requests 348 and 366), so this
 * file speaks to the module directly and can make as many instances as are needed: the machine code is compiled
 * once, an instance costs about 2 ms.
 *
 * `createRequire` hides the module from bundlers on purpose: it finds its .wasm file beside itself, and is found in
 * node_modules both when the source runs unbuilt and when it has been bundled.
 */
export interface ParserInstance {
  /** Parses one text. Throws whatever the machine throws; then the instance must not be used again. */
  parse(text: string): RawParse
  /** The tokens of a text, as JSON text. Throws whatever the machine throws, as `parse` does. */
  scan(text: string): string
}

/** What the grammar says: the tree as JSON text, or its complaint. `position` counts characters from 1. */
export type RawParse =
  | { readonly kind: 'tree'; readonly json: string }
  | { readonly kind: 'error'; readonly message: string; readonly position: number | undefined }

/** The functions of the WebAssembly module that are used here. Pointers are numbers. */
interface Grammar {
  _malloc(bytes: number): number
  _free(pointer: number): void
  _wasm_parse_query_raw(text: number): number
  _wasm_free_parse_result(result: number): void
  _wasm_scan(text: number): number
  _wasm_free_string(text: number): void
  getValue(pointer: number, type: 'i32'): number
  UTF8ToString(pointer: number): string
  stringToUTF8(text: string, pointer: number, bytesMax: number): void
}

// The types of Node leave WebAssembly to the browser's library, which nothing else here wants.
declare global {
  namespace WebAssembly {
    class Module {
      constructor(code: Uint8Array)
    }
    class Instance {
      constructor(module: Module, imports: object)
      readonly exports: object
    }
  }
}

type Factory = (options: {
  instantiateWasm(imports: object, done: (instance: WebAssembly.Instance) => void): object
}) => Promise<Grammar>

const require = createRequire(import.meta.url)

let compiled: WebAssembly.Module | undefined

/** Makes a fresh instance. Reads and compiles the module once per thread. */
export async function loadParserInstance(): Promise<ParserInstance> {
  const factory: Factory = require('libpg-query/wasm/libpg-query.js')
  compiled ??= new WebAssembly.Module(readFileSync(require.resolve('libpg-query/wasm/libpg-query.wasm')))
  const code = compiled
  const grammar = await factory({
    instantiateWasm(imports, done) {
      const instance = new WebAssembly.Instance(code, imports)
      done(instance)
      return instance.exports
    },
  })
  return { parse: (text) => parseWith(grammar, text), scan: (text) => scanWith(grammar, text) }
}

function textIn(grammar: Grammar, text: string): number {
  const bytes = Buffer.byteLength(text) + 1
  const input = grammar._malloc(bytes)
  if (input === 0) throw new Error('the parser has no memory left')
  grammar.stringToUTF8(text, input, bytes)
  return input
}

function scanWith(grammar: Grammar, text: string): string {
  const input = textIn(grammar, text)
  const result = grammar._wasm_scan(input)
  if (result === 0) throw new Error('the parser gave no tokens')
  const json = grammar.UTF8ToString(result)
  grammar._wasm_free_string(result)
  grammar._free(input)
  return json
}

function parseWith(grammar: Grammar, text: string): RawParse {
  const input = textIn(grammar, text)
  const result = grammar._wasm_parse_query_raw(input)
  if (result === 0) throw new Error('the parser gave no result')
  // struct { char *parse_tree; char *stderr_buffer; PgQueryError *error }, 4 bytes each.
  const error = grammar.getValue(result + 8, 'i32')
  const answer = error === 0 ? treeOf(grammar, result) : complaintOf(grammar, error)
  grammar._wasm_free_parse_result(result)
  grammar._free(input)
  return answer
}

function treeOf(grammar: Grammar, result: number): RawParse {
  const tree = grammar.getValue(result, 'i32')
  if (tree === 0) throw new Error('the parser gave neither a tree nor an error')
  return { kind: 'tree', json: grammar.UTF8ToString(tree) }
}

function complaintOf(grammar: Grammar, error: number): RawParse {
  // struct { char *message, *funcname, *filename; int lineno; int cursorpos; char *context }
  const message = grammar.getValue(error, 'i32')
  const position = grammar.getValue(error + 16, 'i32')
  return {
    kind: 'error',
    message: message === 0 ? 'syntax error' : grammar.UTF8ToString(message),
    position: position > 0 ? position : undefined,
  }
}
