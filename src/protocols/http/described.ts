import type { ApiOperation, Described, OpenApiDocument } from '../../apis/index.ts'
import { readGraphqlSchema, readOpenApi } from '../../apis/index.ts'
import type { FileFault, ReadFile, SettingsRead } from '../../core/index.ts'
import { comparePatterns, parseRoutePattern } from '../../wire/http/index.ts'
import { DescribedApi } from './described-api.ts'
import { namedFiles } from './settings.ts'

/** Reads the files that settings name. Whatever cannot be read, of them or in them, is a fault with its place. */
export function readSettings(settings: unknown, read: ReadFile): SettingsRead {
  const { openapi, graphql } = namedFiles(settings)
  const faults: FileFault[] = []
  const labels: SettingsRead['labels'][number][] = []
  const described = <T>(
    file: string,
    path: readonly string[],
    parse: (text: string) => Described<T>,
  ): T | undefined => {
    const text = read(file)
    if (text === undefined) {
      faults.push({
        kind: 'settings',
        path,
        message: 'expected a file that can be read',
        fix: 'correct the path',
      })
      return undefined
    }
    const result = parse(text)
    if (result.ok) {
      labels.push(...result.labels.map(({ label, ...at }) => ({ label, at: { file, ...at } })))
      return result.value
    }
    for (const { message, fix, ...at } of result.problems)
      faults.push({ kind: 'in file', at: { file, ...at }, message, fix })
    return undefined
  }
  const document = openapi && described(openapi.file, ['openapi', 'file'], readRoutable)
  const schema = graphql && described(graphql.schema, ['graphql', 'schema'], readGraphqlSchema)
  if (openapi === undefined && graphql === undefined) return { settings, faults, labels }
  const api = new DescribedApi(inOrder(document?.operations ?? []), schema, document?.content)
  return { settings: { ...Object(settings), described: api }, faults, labels }
}

function readRoutable(text: string): Described<OpenApiDocument> {
  const read = readOpenApi(text, (path) => parseRoutePattern(plainNames(path)) !== undefined)
  if (!read.ok) return read
  const operations = read.value.operations.map((each) => ({ ...each, path: plainNames(each.path) }))
  return { ...read, value: { operations, content: read.value.content } }
}

/** Documents have names such as `{customer-id}`; what a name is makes no difference to which paths fit. */
export function plainNames(path: string): string {
  return path.replaceAll(/\{([^{}]+)\}/g, (_, name: string) => {
    const plain = name.replaceAll(/[^A-Za-z0-9_]/g, '_')
    return /^[A-Za-z_]/.test(plain) ? `{${plain}}` : `{_${plain}}`
  })
}

/** OpenAPI 3.1, "Path Templating Matching": paths that are written out are matched first. */
function inOrder(operations: readonly ApiOperation[]): readonly ApiOperation[] {
  const patterns = operations.flatMap((operation) => {
    const pattern = parseRoutePattern(operation.path)
    return pattern === undefined ? [] : [{ operation, pattern }]
  })
  return patterns.sort((a, b) => comparePatterns(a.pattern, b.pattern)).map(({ operation }) => operation)
}
