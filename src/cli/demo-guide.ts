import { spawnSync } from 'node:child_process'
import { styleText } from 'node:util'
import type { RunningGateway } from '../main.ts'
import { DEFAULT_DATA } from './context.ts'

/** What the demonstration prints when it runs: four commands to try, with psql where it is installed. */
export function demoGuide(options: {
  readonly endpoints: RunningGateway['endpoints']
  readonly data: string
}): string {
  const hasPsql = spawnSync('psql', ['--version'], { stdio: 'ignore' }).status === 0
  const data = options.data === DEFAULT_DATA ? '' : ` --data ${options.data}`
  const sluice = `npm run -s sluice --`
  const ask = (sql: string): string =>
    hasPsql
      ? `${sluice} run crm --as support-agent${data} -- psql -c "${sql}"`
      : `${sluice} query crm "${sql}" --as support-agent${data}`
  const where = Object.entries(options.endpoints).map(
    ([name, at]) => `  ${name.padEnd(9)}${at.address}:${at.port}`,
  )
  const steps: readonly (readonly [string, string])[] = [
    [
      'Masked: protected columns come back hidden',
      ask('SELECT id, name, email, plan FROM customers LIMIT 3'),
    ],
    ['Refused: with the reason and what is allowed instead', ask('DROP TABLE customers')],
    [
      'Held: waits until a person has looked (this terminal shows how)',
      ask("UPDATE customers SET plan = 'business' WHERE id = 7"),
    ],
    [
      'The internal API, masked by field',
      `${sluice} query crm-api "GET /customers/7" --as support-agent${data}`,
    ],
    ['Everything is in the recording', `${sluice} sessions ls${data}`],
  ]
  const text = steps.map(
    ([title, command], i) => `${styleText('bold', `${i + 1}. ${title}`)}\n   ${command}\n`,
  )
  return `
${styleText('bold', 'Sluice is running')} in front of a sample company: its database (crm) and its internal API (crm-api).
${where.join('\n')}

Try this in a second terminal, in this folder:

${text.join('\n')}
A DSN for any driver:  ${sluice} dsn crm --as support-agent${data}
Stop with Ctrl-C.
`
}
