/**
 * Reads what a source file imports, with the parser of oxc: types, re-exports, `import()`, `require()` and worker
 * URLs included, comments and strings that only look like imports excluded.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { parseSync, Visitor } from 'oxc-parser'

/** Path from the repository's root, with slashes, to the text. */
export type Files = ReadonlyMap<string, string>

export type Import = { readonly from: string; readonly specifier: string; readonly line: number }

export type Source = {
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
  /** `as X` other than `as const`, `!` after an expression, `any`: what the types must not be talked out of. */
  readonly casts: readonly { readonly what: string; readonly line: number }[]
  /** Global names that are called or read: `process.env`, `fetch`, `setTimeout`. */
  readonly globals: readonly { readonly name: string; readonly line: number }[]
}

/** Reads files below `folders` of `root` whose names end in one of `endings`. */
export function readFiles(root: string, folders: readonly string[], endings: readonly string[]): Files {
  const files = new Map<string, string>()
  for (const folder of folders.filter((each) => existsSync(join(root, each)))) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      if (!entry.isFile() || path.includes(`${sep}node_modules${sep}`)) continue
      if (!endings.some((ending) => entry.name.endsWith(ending))) continue
      files.set(relative(root, path).split(sep).join('/'), readFileSync(path, 'utf8'))
    }
  }
  return files
}

export function lineAt(text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++
  return line
}

const GLOBALS = new Set(['fetch', 'setTimeout', 'setInterval', 'setImmediate', 'WebSocket', 'XMLHttpRequest'])

/** Parses one file. Throws if it is no TypeScript: a file that cannot be read cannot be judged. */
export function parse(path: string, text: string): Source {
  const { program, module, errors } = parseSync(path, text)
  const error = errors[0]
  if (error !== undefined) throw new Error(`${path}: ${error.message}`)
  const imports: Import[] = []
  const casts: { what: string; line: number }[] = []
  const globals: { name: string; line: number }[] = []
  const add = (specifier: string, start: number): void => {
    imports.push({ from: path, specifier, line: lineAt(text, start) })
  }
  for (const each of module.staticImports) add(each.moduleRequest.value, each.start)
  for (const each of module.staticExports) {
    for (const entry of each.entries.slice(0, 1)) {
      if (entry.moduleRequest) add(entry.moduleRequest.value, each.start)
    }
  }
  new Visitor({
    ImportExpression(node) {
      if (node.source.type === 'Literal' && typeof node.source.value === 'string') {
        add(node.source.value, node.start)
      } else add('(computed)', node.start)
    },
    TSImportType(node) {
      add(node.source.value, node.start)
    },
    CallExpression(node) {
      const [first] = node.arguments
      if (node.callee.type !== 'Identifier' || node.callee.name !== 'require') return
      add(first?.type === 'Literal' ? String(first.value) : '(computed)', node.start)
    },
    NewExpression(node) {
      // new URL('./x-worker.ts', import.meta.url) is how a worker is named.
      const [first, second] = node.arguments
      if (node.callee.type !== 'Identifier' || node.callee.name !== 'URL') return
      if (first?.type !== 'Literal' || typeof first.value !== 'string') return
      if (second !== undefined && first.value.startsWith('.')) add(first.value, node.start)
    },
    TSAsExpression(node) {
      const target = text.slice(node.typeAnnotation.start, node.typeAnnotation.end)
      if (target !== 'const') casts.push({ what: `as ${target}`, line: lineAt(text, node.start) })
    },
    TSTypeAssertion(node) {
      casts.push({ what: 'an angle-bracket cast', line: lineAt(text, node.start) })
    },
    TSNonNullExpression(node) {
      casts.push({ what: '!', line: lineAt(text, node.start) })
    },
    TSAnyKeyword(node) {
      casts.push({ what: 'any', line: lineAt(text, node.start) })
    },
    Identifier(node) {
      if (GLOBALS.has(node.name)) globals.push({ name: node.name, line: lineAt(text, node.start) })
    },
    MemberExpression(node) {
      if (node.object.type !== 'Identifier' || node.object.name !== 'process') return
      const property = text.slice(node.property.start, node.property.end)
      globals.push({ name: `process.${property}`, line: lineAt(text, node.start) })
    },
  }).visit(program)
  return { path, text, imports, casts, globals }
}

/** The path in the repository that an import names; undefined for a package or a part of Node. */
export function resolved(each: Import): string | undefined {
  if (!each.specifier.startsWith('.')) return undefined
  return posix.normalize(posix.join(dirname(each.from), each.specifier))
}
