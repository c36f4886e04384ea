import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { GatewayError } from '../../core/index.ts'
import type { Explained } from './answer.ts'

const outcome = z.enum(['allow', 'hold', 'deny'])

const expected = z.union([
  outcome,
  z.strictObject({
    decision: outcome,
    /** Names of the outputs that are masked: these and no others. */
    masked: z.array(z.string()).optional(),
    /** The rule that decides first. */
    rule: z.string().optional(),
    /** The most rows that may come back; `unlimited` for no limit. */
    rows: z.union([z.int(), z.literal('unlimited')]).optional(),
    class: z.string().optional(),
  }),
])

const policyCase = z.strictObject({
  name: z.string().optional(),
  as: z.string().min(1),
  for: z.string().min(1).optional(),
  on: z.string().min(1),
  database: z.string().min(1).optional(),
  sql: z.string().min(1),
  expect: expected,
})

export type PolicyCase = z.output<typeof policyCase> & { readonly line: number }

/** Reads a table of cases. Throws GatewayError `invalid` that names file and line. */
export function readCases(file: string, text: string): readonly PolicyCase[] {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const [broken] = document.errors
  if (broken !== undefined) {
    const { line } = lines.linePos(broken.pos[0])
    throw invalid(`${file}:${line}: ${broken.message.split('\n')[0] ?? 'no YAML'}`)
  }
  const read = z.strictObject({ cases: z.array(policyCase).min(1) }).safeParse(document.toJS())
  const lineOf = (path: readonly PropertyKey[]): number => {
    const node = document.getIn(
      path.map((each) => (typeof each === 'symbol' ? String(each) : each)),
      true,
    )
    const range = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined
    const at = Array.isArray(range) && typeof range[0] === 'number' ? range[0] : 0
    return lines.linePos(at).line
  }
  if (!read.success) {
    throw invalid(
      read.error.issues
        .map((issue) => `${file}:${lineOf(issue.path)}: ${issue.path.join('.')}: ${issue.message}`)
        .join('\n'),
    )
  }
  return read.data.cases.map((each, index) => ({ ...each, line: lineOf(['cases', index]) }))
}

/** How what was found differs from what was expected; empty when it does not. */
export function differences({ expect }: PolicyCase, found: Explained): string[] {
  const wanted = typeof expect === 'string' ? { decision: expect } : expect
  const different: string[] = []
  const compare = (what: string, expected: string | undefined, actual: string): void => {
    if (expected !== undefined && expected !== actual)
      different.push(`${what}: expected ${expected}, found ${actual}`)
  }
  const why = found.message === undefined ? '' : ` (${found.message})`
  if (wanted.decision !== found.decision)
    different.push(`decision: expected ${wanted.decision}, found ${found.decision}${why}`)
  compare('masked', wanted.masked === undefined ? undefined : listed(wanted.masked), listed(maskedIn(found)))
  compare('rule', wanted.rule, found.rules[0]?.name ?? 'none')
  compare('rows', wanted.rows?.toString(), found.limit?.rows?.toString() ?? 'unlimited')
  compare('class', wanted.class, found.class)
  return different
}

function maskedIn({ outputs }: Explained): string[] {
  return outputs.filter(({ mask }) => mask !== undefined).map(({ name }) => name)
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'nothing' : [...names].sort().join(', ')
}

function invalid(message: string): GatewayError {
  return new GatewayError('invalid', message, { retry: 'only-if-changed' })
}
