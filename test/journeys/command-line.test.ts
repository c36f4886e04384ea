/** A person works from the command line alone: asks, runs programs, and finds what happened in the recording. */
import { beforeAll, describe, expect, test } from 'vitest'
import { makeCompany } from '../../src/sample/index.ts'
import { teardown } from '../support/teardown.ts'
import type { Company } from './company.ts'
import { AGENT, startCompany } from './company.ts'

type Session = { session: string; connection: string }

describe('from the command line', () => {
  const later = teardown()
  let company: Company
  const [first] = makeCompany().customers

  beforeAll(async () => {
    company = await startCompany(18)
    later(() => company.stop())
  })

  const cli = async (...args: readonly string[]) => company.gateway.cli(args)

  test('sluice query shows a masked row, and a refusal with its remedy', async () => {
    const asked = await cli('query', 'crm', 'SELECT id, email FROM customers WHERE id = 1', '--as', AGENT)
    expect(asked).toMatchObject({ code: 0 })
    expect(asked.stderr).toMatch(/^NOTICE: Masked in 1 row: email \(pii\.email\)\.\n/)
    expect(asked.stdout).toContain(`r***${first?.email.slice(first.email.indexOf('@'))}`)
    expect(asked.stdout).not.toContain(first?.email)

    const json = await cli('query', 'crm', 'SELECT 1 AS one', '--as', AGENT, '--json')
    expect(JSON.parse(json.stdout).results[0]).toMatchObject({ rows: [['1']] })

    const refused = await cli('query', 'crm', 'DROP TABLE customers', '--as', AGENT)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/define[\s\S]*administrator/i)

    const api = await cli('query', 'crm-api', 'GET /customers/1', '--as', AGENT)
    expect(api.code).toBe(0)
    expect(api.stdout).not.toContain(first?.email)
  })

  test('sluice run gives psql a credential that stands on no command line', async () => {
    // Inside psql: its own secret is in a file that only we may read, and on nobody's command line.
    const script = String.raw`\! f=$(mktemp); cut -d: -f5 "$PGPASSFILE" > "$f"; grep -c slu_ "$f"; cat /proc/*/cmdline 2>/dev/null | tr '\0' ' ' | grep -cFf "$f"; rm "$f"`
    const done = await cli(
      'run',
      'crm',
      '--as',
      AGENT,
      '--',
      'psql',
      '-X',
      '-At',
      '-c',
      'SELECT count(*) FROM customers',
      '-c',
      script,
    )
    expect(done.stderr).toBe('')
    expect(done.stdout.split('\n').slice(0, 3)).toEqual([String(makeCompany().customers.length), '1', '0'])

    const failing = await cli('run', 'crm', '--as', AGENT, '--', 'sh', '-c', 'exit 7')
    expect(failing.code).toBe(7)
  })

  test('sluice sessions finds it again: every command, what was decided, and nothing that was protected', async () => {
    const marked = "SELECT id, email, phone FROM customers WHERE company = 'no such company' OR id = 1"
    await cli('query', 'crm', marked, '--as', AGENT)
    const listed = await cli('sessions', 'ls', '--json')
    expect(listed.code).toBe(0)
    const { sessions }: { sessions: Session[] } = JSON.parse(listed.stdout)
    const shown = await Promise.all(
      sessions.map(async ({ session }) => (await cli('sessions', 'show', session)).stdout),
    )
    const [found] = shown.filter((text) => text.includes(marked))
    expect(found).toContain('support-agent')
    const all = shown.join('\n')
    expect(all).toContain('DROP TABLE customers')
    expect(all).toMatch(/deny|refused/)
    for (const secret of [first?.email, first?.phone, company.rolePassword, company.apiToken]) {
      expect(all).not.toContain(secret)
    }
  })

  test('connections, status and doctor tell how things are', async () => {
    const connections = await cli('connections', 'ls')
    expect(connections.stdout).toMatch(/crm[\s\S]*crm-api/)
    expect((await cli('status')).code).toBe(0)
    const doctor = await cli('doctor')
    expect(`${doctor.stdout}${doctor.stderr}`).toMatch(/crm/)
    expect(doctor.stdout).not.toContain(company.rolePassword)
    expect(company.gateway.stderr()).toBe('')
  })
})
