/** The command line as people run it: a program, its output, and its exit code. */
import { spawn } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CLI } from '../../test/support/gateway.ts'
import type { TestApi } from '../testing/running-gateway.ts'
import { startTestApi } from '../testing/running-gateway.ts'
import { COMMAND_GROUPS } from './commands.ts'

let api: TestApi

beforeAll(async () => {
  api = await startTestApi()
})

afterAll(() => api.stop())

type Done = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

/** Not in one go: the gateway it asks lives in this process. */
function sluice(args: readonly string[], input = '', env: Record<string, string> = {}): Promise<Done> {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: {
      PATH: process.env.PATH ?? '',
      SLUICE_DATA: api.dataDirectory,
      TMPDIR: api.place,
      XDG_CONFIG_HOME: api.place,
      ...env,
    },
  })
  const done = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (done.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (done.stderr += text))
  child.stdin.end(input)
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...done })))
}

describe('exit codes', () => {
  it('are 0 for what is done, 2 for wrong usage, 75 when nobody answers, 1 for a refusal', async () => {
    expect((await sluice(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect((await sluice(['status'])).code).toBe(0)
    expect((await sluice(['stauts'])).code).toBe(2)
    expect((await sluice(['dsn', 'crm'])).code).toBe(2)
    const nobody = await sluice(['status', '--data', join(api.place, 'nothing')])
    expect(nobody.code).toBe(75)
    expect(nobody.stderr).toBe(
      'error: The gateway does not answer.\nIs it running, and is --data (or SLUICE_DATA) its data directory?\n',
    )
    const refused = await sluice(['dsn', 'crm', '--as', 'nobody', '--json'])
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(JSON.parse(refused.stderr)).toMatchObject({ error: { code: 'not_found' } })
  })
})

describe('what is loaded for a command', () => {
  it('is listed under the very names that it adds', async () => {
    for (const { names, load } of COMMAND_GROUPS) {
      const program = new Command()
      const add = await load()
      add(program)
      expect(program.commands.flatMap((each) => [each.name(), ...each.aliases()])).toEqual(names)
    }
  })
})

describe('output', () => {
  it('is an aligned table without colour where it is no terminal', async () => {
    const { stdout } = await sluice(['connections', 'ls'])
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(3)
    expect(lines[0]).toMatch(/^CONNECTION  PROTOCOL  DATABASES/)
    expect(lines[1]?.indexOf('postgres')).toBe(lines[0]?.indexOf('PROTOCOL'))
    expect(stdout).not.toContain('\u001b')
  })

  it('of dsn and token is one line and nothing else', async () => {
    const dsn = await sluice(['dsn', 'crm', '--as', 'support-agent'])
    expect(dsn.stdout).toMatch(/^postgresql:\/\/c_[0-9a-z]{16}:slu_[\w-]{43}@127\.0\.0\.1:\d+\/crm\n$/)
    const token = await sluice(['token', 'crm-api', '--as', 'support-agent', '--for', 'ada'])
    expect(token.stdout).toMatch(/^slu_c_[0-9a-z]{16}_[\w-]{43}\n$/)
  })
})

describe('run', () => {
  it('hands a credential over in private files and the environment, and takes it back at the end', async () => {
    const script =
      'test "$(stat -c %a "$PGPASSFILE")" = 600 && grep -q "^user=$PGUSER$" "$PGSERVICEFILE" && echo "$PGSERVICE $PGDATABASE" && exit 7'
    const done = await sluice(['run', 'crm', '--as', 'support-agent', '--', 'sh', '-c', script])
    expect(done).toMatchObject({ code: 7, stdout: 'sluice crm\n', stderr: '' })
    expect(readdirSync(api.place).filter((name) => name.startsWith('sluice-run-'))).toEqual([])
    expect(api.gateway.parts.credentials.heldBy('agent:support-agent')).toHaveLength(2)
  })

  it('gives a URL and a token for an HTTP connection', async () => {
    const script = 'echo "$SLUICE_URL ${SLUICE_TOKEN%%_*}"; kill -TERM $$'
    const done = await sluice(['run', 'crm-api', '--as', 'support-agent', '--', 'sh', '-c', script])
    expect(done.stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/c\/crm-api slu\n$/)
    expect(done.code).toBe(128 + 15)
  })

  it('says what to do when the program is not there', async () => {
    const done = await sluice(['run', 'crm', '--as', 'support-agent', '--', 'no-such-program'])
    expect(done.code).toBe(1)
    expect(done.stderr).toMatch(/^error: no-such-program cannot be run\.\nIs it installed/)
  })
})

describe('secrets set', () => {
  it('reads standard input and shows the value nowhere (P-08)', async () => {
    const value = 'a-very-secret-value'
    const set = await sluice(['secrets', 'set', 'crm'], `${value}\n`)
    expect(set).toMatchObject({ code: 0, stdout: 'crm is sealed; the next session uses it.\n' })
    expect(api.gateway.parts.sealed.get('crm')?.reveal()).toBe(value)
    const listed = await sluice(['secrets', 'ls', '--json'])
    expect(listed.stdout + listed.stderr + set.stdout + set.stderr).not.toContain(value)
  })
})

describe('people and approvals', () => {
  it('answer over the TLS port with a code, and never without one', async () => {
    const codes = await api.enrol('ada')
    const login = await sluice(['login', 'ada', '--code', '-'], `${codes()}\n`)
    expect(login.stdout).toMatch(/^ey[\w.-]+\n$/)
    const unknown = await sluice(['approvals', 'approve', 'T-NOPE', '--as', 'ada', '--code', '123456'])
    expect(unknown).toMatchObject({ code: 1 })
    expect(unknown.stderr).toBe(
      'error: There is no such approval request.\nList them with: sluice approvals ls\n',
    )
    expect((await sluice(['approvals', 'ls'])).stdout).toBe('Nothing waits for an answer.\n')
    expect((await sluice(['login', 'ada'])).code).toBe(2)
  })
})

describe('config', () => {
  it('check names line, column and the fix, without a gateway', async () => {
    const file = join(api.place, 'broken.yaml')
    writeFileSync(file, 'listen:\n  postgres: { prot: 0 }\n')
    const done = await sluice(['config', 'check', file, '--data', '/nowhere'])
    expect(done.code).toBe(1)
    expect(done.stderr).toMatch(/broken\.yaml:2:15 listen\.postgres\.prot: .*write "port"/)
    const good = await sluice(['config', 'check', join(api.place, 'sluice.yaml'), '--json'])
    expect(JSON.parse(good.stdout)).toMatchObject({ ok: true, connections: 2, rules: 3 })
    expect((await sluice(['config', 'diff', join(api.place, 'sluice.yaml')])).stdout).toBe(
      'Nothing differs.\n',
    )
  })
})
