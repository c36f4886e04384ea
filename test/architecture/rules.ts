/** The rules, each a function from sources to sentences that name the file, the line and what is wrong. */
import { EXCEPTIONS, PURE, allows, folderOf, isEffect, isEffectGlobal, rowOf } from './layers.ts'
import { type Files, type Source, lineAt, resolved } from './source.ts'

const TEST_FILE = /\.test\.ts$/
const LINES_MAX = 600
const LONG_FOR_A_REASON = /over 600 lines because/i

function isTest(path: string): boolean {
  return TEST_FILE.test(path) || path.startsWith('src/testing/')
}

/** The import table, for everything in `src/` but tests. */
export function brokenLayers(sources: readonly Source[]): string[] {
  const found: string[] = []
  for (const { path, imports } of sources) {
    if (isTest(path)) continue
    const row = rowOf(folderOf(path))
    if (row === undefined) {
      found.push(`${path}: the folder ${folderOf(path)} is not in the import table`)
      continue
    }
    for (const each of imports) {
      const where = `${path}:${each.line} imports '${each.specifier}'`
      if (each.specifier === '(computed)') {
        found.push(`${path}:${each.line} imports something computed: the table cannot be checked`)
        continue
      }
      const target = resolved(each)
      if (target === undefined) continue
      if (!target.startsWith('src/')) {
        if (!target.startsWith('schema/') && target !== 'package.json') found.push(`${where}: outside src/`)
      } else if (target.startsWith('src/testing/')) found.push(`${where}: src/testing is for tests only`)
      else if (!allows(row, path, target))
        found.push(`${where}: ${row.folder} may not import ${folderOf(target)}`)
    }
  }
  return found
}

/**
 * Files that import one another, types included: neither can be read, moved or tested without the other. Each circle
 * is one sentence, with its files in the order of their names.
 */
export function circles(sources: readonly Source[]): string[] {
  const paths = new Set(sources.map(({ path }) => path))
  const imports = new Map<string, readonly string[]>()
  for (const { path, imports: all } of sources) {
    const targets = all.flatMap((each) => resolved(each) ?? []).filter((target) => paths.has(target))
    imports.set(path, [...new Set(targets)])
  }
  const found: string[] = []
  /** By file: when it was come to, and the earliest file of its circle. Files whose circle is known are gone from `open`. */
  const place = new Map<string, { readonly at: number; earliest: number }>()
  const open: string[] = []
  const visit = (path: string): { readonly at: number; earliest: number } => {
    const here = { at: place.size, earliest: place.size }
    place.set(path, here)
    open.push(path)
    for (const target of imports.get(path) ?? []) {
      const there = place.get(target) ?? visit(target)
      if (open.includes(target)) here.earliest = Math.min(here.earliest, there.earliest)
    }
    if (here.earliest !== here.at) return here
    const circle = open.splice(open.indexOf(path))
    if (circle.length > 1 || imports.get(path)?.includes(path) === true)
      found.push(`these import one another: ${circle.toSorted().join(', ')}`)
    return here
  }
  for (const path of paths) if (!place.has(path)) visit(path)
  return found
}

/** Pure folders reach neither network, disk, clock nor environment, except where EXCEPTIONS says why. */
export function impurities(sources: readonly Source[], exceptions = EXCEPTIONS): string[] {
  const found: string[] = []
  const used = new Set<(typeof EXCEPTIONS)[number]>()
  for (const { path, imports, globals } of sources) {
    if (isTest(path) || !PURE.some((folder) => path.startsWith(`src/${folder}/`))) continue
    const effects = [
      ...imports
        .filter((each) => isEffect(each.specifier))
        .map((each) => ({ what: each.specifier, line: each.line })),
      ...globals
        .filter((each) => isEffectGlobal(each.name))
        .map((each) => ({ what: each.name, line: each.line })),
    ]
    for (const { what, line } of effects) {
      const exception = exceptions.find((each) => each.path === path && each.what === what)
      if (exception === undefined) found.push(`${path}:${line} uses ${what}, and ${folderOf(path)} is pure`)
      else used.add(exception)
    }
  }
  for (const each of exceptions) {
    if (!used.has(each)) found.push(`${each.path} no longer uses ${each.what}: remove the exception`)
  }
  return found
}

/** No cast, no `!`, no `any` but in the one file that makes brands, and in tests. */
export function casts(sources: readonly Source[]): string[] {
  return sources
    .filter(({ path }) => !isTest(path) && path !== 'src/core/brand.ts')
    .flatMap(({ path, casts: all }) => all.map(({ what, line }) => `${path}:${line} says \`${what}\``))
}

const PROTOCOL_ANYWHERE = /postgres|mysql/i
const PROTOCOL_WORDS = new Set(['http', 'https', 'mcp', 'ssh', 'pg'])

/** The pipeline knows no protocol: not in code, not in a comment, not as a part of a name. */
export function protocolNames(files: Files): string[] {
  const found: string[] = []
  for (const [path, text] of files) {
    if (!path.startsWith('src/session/')) continue
    text.split('\n').forEach((line, index) => {
      // Words inside camelCase names: `httpStatus`, `MCPTool`.
      const words = line.match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g) ?? []
      const word =
        words.find((each) => PROTOCOL_WORDS.has(each.toLowerCase())) ?? PROTOCOL_ANYWHERE.exec(line)?.[0]
      if (word !== undefined) found.push(`${path}:${index + 1} names a protocol: ${word}`)
    })
  }
  return found
}

/** A file is split by idea; a long one says at its top why it is one idea. */
export function longFiles(files: Files): string[] {
  const found: string[] = []
  for (const [path, text] of files) {
    const lines = text.split('\n')
    if (lines.length - 1 <= LINES_MAX || LONG_FOR_A_REASON.test(lines.slice(0, 15).join('\n'))) continue
    found.push(
      `${path} has ${lines.length - 1} lines; split it, or say at its top: "Over 600 lines because ..."`,
    )
  }
  return found
}

/** A test that does not run proves nothing, and a promise to write code is not code. */
export function unfinished(files: Files): string[] {
  const patterns = [
    // Spelled in two parts so that this file does not find itself.
    new RegExp(['\\b(it|test|describe|bench|suite)', '\\.(only|skip|todo|skipIf|runIf|fails)\\b'].join('')),
    new RegExp(['\\b(TO', 'DO|FIX', 'ME)\\b'].join('')),
  ]
  const found: string[] = []
  for (const [path, text] of files) {
    for (const pattern of patterns) {
      const match = pattern.exec(text)
      if (match !== null) found.push(`${path}:${lineAt(text, match.index)} says ${match[0]}`)
    }
  }
  return found
}

/** No file holds a path of somebody's machine, or an address packages come from other than the public one. */
export function strangers(files: Files, forbidden: readonly string[]): string[] {
  const found: string[] = []
  for (const [path, text] of files) {
    for (const each of forbidden) {
      const at = text.indexOf(each)
      if (at !== -1) found.push(`${path}:${lineAt(text, at)} holds '${each}'`)
    }
  }
  return found
}
