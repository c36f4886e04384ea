import { styleText } from 'node:util'
import type { Command } from 'commander'
import { asGatewayError, isGatewayError } from '../../core/index.ts'
import { safe } from '../../recording/index.ts'
import type { Common } from '../context.ts'
import { print } from '../context.ts'
import { explain } from './answer.ts'
import type { PolicyCase } from './cases.ts'
import { differences, readCases } from './cases.ts'
import { readFileIn } from './check.ts'

type Result = { readonly line: number; readonly name: string; readonly differences: readonly string[] }

/** `sluice policy test`: a table of cases held against the gateway's own answers; for somebody's CI. */
export function addTest(group: Command): void {
  group
    .command('test')
    .argument('<file>', 'YAML: cases with as, on, sql and expect')
    .description('hold a table of cases against what the gateway would do; exit code 1 when one differs')
    .action(async (file: string, common: Common) => {
      const cases = readCases(file, readFileIn(file))
      const results: Result[] = []
      for (const each of cases)
        results.push({ line: each.line, name: nameOf(each), differences: await differ(each, common) })
      const failed = results.filter((each) => each.differences.length > 0)
      if (failed.length > 0) process.exitCode = 1
      print(common, { ok: failed.length === 0, cases: results.length, failed: failed.length, results }, () =>
        [
          ...results.map((each) => resultText(file, each)),
          `${results.length - failed.length} of ${results.length} cases as expected`,
        ].join('\n'),
      )
    })
}

/** What the gateway cannot read would be refused; what it cannot answer at all is no answer. */
async function differ(each: PolicyCase, common: Common): Promise<string[]> {
  const { as, on, database, sql } = each
  try {
    const found = await explain(common, {
      connection: on,
      as,
      text: sql,
      ...(each.for === undefined ? {} : { for: each.for }),
      ...(database === undefined ? {} : { database }),
    })
    return differences(each, found)
  } catch (error) {
    if (!isGatewayError(error) || error.code === 'upstream_unreachable') throw error
    return [asGatewayError(error).message]
  }
}

function nameOf({ name, as, on, sql }: PolicyCase): string {
  return name ?? `${as} on ${on}: ${sql.replaceAll(/\s+/g, ' ').slice(0, 80)}`
}

function resultText(file: string, { line, name, differences: found }: Result): string {
  if (found.length === 0) return `${styleText('green', 'ok')}      ${safe(name)}`
  return [
    `${styleText('red', 'not ok')}  ${file}:${line}: ${safe(name)}`,
    ...found.map((each) => `        ${safe(each)}`),
  ].join('\n')
}
