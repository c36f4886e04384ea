/**
 * What an auditor does with recordings, from the command line: finds sessions, replays them, exports them, follows
 * them, and asks who saw what. Every command that docs/cli.md shows for it runs here.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { makeCompany } from '../../src/sample/index.ts'
import { CLI } from '../support/gateway.ts'
import { enrolPerson } from '../support/person.ts'
import { cleanEnvironment } from '../support/process.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import { openTerminal } from '../support/tmux.ts'
import { eventually } from '../support/wait.ts'
import type { Company } from './company.ts'
import { AGENT, PERSON, startCompany } from './company.ts'

const DOCUMENTED = /^sluice ((?:sessions|audit) .*)$/gm
const SELECT = 'SELECT id, email, plan FROM customers ORDER BY id LIMIT 2;'
const HELD = "UPDATE customers SET plan = 'business' WHERE id = 7;"

describe('using recordings', () => {
  const later = teardown()
  let company: Company
  let session: string
  const [first] = makeCompany().customers

  const cli = async (...args: readonly string[]) => company.gateway.cli(args, { input: '\n'.repeat(50) })
  const answer = async (...args: readonly string[]) => {
    const done = await cli(...args, '--json')
    expect(done).toMatchObject({ code: 0 })
    return JSON.parse(done.stdout)
  }

  beforeAll(async () => {
    company = await startCompany(15)
    later(() => company.stop())
    const ada = await enrolPerson(company.gateway, PERSON)
    const dsn = await company.gateway.dsn('crm', AGENT)
    const script = psql(
      dsn,
      `${SELECT}\n${HELD}\nDROP TABLE customers;\nSELECT E'a\\tb\\x1b[31mred' AS odd, NULL AS nothing, '' AS empty;\n`,
    )
    const ticket = await eventually(
      'a ticket',
      async () => {
        const { stdout } = await cli('approvals', 'ls', '--json')
        const [found] = JSON.parse(stdout).approvals
        if (found === undefined) throw new Error(stdout)
        return String(found.ticket)
      },
      60_000,
    )
    await ada.approve(ticket)
    await script
    await cli('query', 'crm-api', 'GET /customers/1', '--as', AGENT)
    await cli('query', 'crm', 'SELECT email FROM customers WHERE id = 1', '--as', PERSON)
    const { sessions } = await answer('sessions', 'ls', '--decision', 'hold')
    expect(sessions).toHaveLength(1)
    session = sessions[0].session
  }, 180_000)

  test('every command of the documentation does what it is there for', async () => {
    const text = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')
    const [, section = ''] = text.split('\n## Recordings\n')
    const commands = [...section.matchAll(DOCUMENTED)].map(([, command = '']) => command)
    expect(commands.length).toBeGreaterThanOrEqual(18)
    const waiting = commands.filter((command) => !command.startsWith('sessions tail'))
    const work = async (): Promise<void> => {
      for (let command = waiting.pop(); command !== undefined; command = waiting.pop()) {
        const args = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '')
        const done = await cli(...args.map((each) => (each === 'ID' ? session : each)))
        expect(done, command).toMatchObject({ code: 0 })
        expect(done.stdout.length, command).toBeGreaterThan(15)
      }
    }
    await Promise.all([work(), work(), work()])
  })

  test('filters find sessions, each for itself and all together', async () => {
    const found = async (...flags: readonly string[]): Promise<string[]> =>
      (await answer('sessions', 'ls', ...flags)).sessions.map((each: { session: string }) => each.session)
    const ours = ['--identity', `agent:${AGENT}`, '--connection', 'crm']
    expect(await found(...ours)).toEqual([session])
    for (const flags of [
      ['--group', 'support-agents', '--connection', 'crm'],
      ['--table', 'public.customers', '--class', 'write'],
      ['--written', 'public.customers'],
      ['--masked', 'pii.email', '--connection', 'crm'],
      ['--decision', 'deny'],
      ['--text', 'order  BY id'],
      [
        ...ours,
        '--since',
        '1h',
        '--until',
        '2099-01-01',
        '--class',
        'define',
        '--decision',
        'hold',
        '--read',
        'public.customers',
      ],
    ])
      expect(await found(...flags), flags.join(' ')).toEqual([session])
    for (const flags of [
      ['--clear', 'pii.email', ...ours],
      ['--since', '2099-01-01'],
      ['--table', 'customers'],
      ['--text', 'no such text'],
      ['--group', 'nobody'],
    ])
      expect(await found(...flags), flags.join(' ')).toEqual([])
    expect(await found('--clear', 'pii.email')).toHaveLength(1)
    expect(await found('--read', 'GET /customers/{id}')).toHaveLength(1)
    const page = await answer('sessions', 'ls', '--limit', '2')
    expect(page.sessions).toHaveLength(2)
    expect(await found('--before', page.next)).toEqual([session])
    expect((await cli('sessions', 'ls', '--since', 'yesterday')).code).toBe(2)
  })

  test('a replay in a real terminal shows what the client saw, and nothing that moves the cursor', async () => {
    const terminal = await openTerminal(
      [process.execPath, CLI, 'sessions', 'replay', session, '--speed', '1000'],
      {
        ...cleanEnvironment(),
        SLUICE_DATA: company.gateway.dataDirectory,
      },
    )
    try {
      const screen = await terminal.shows(/\[ended 0\]/)
      expect(screen).toContain(SELECT.slice(0, -1))
      expect(screen).toMatch(/\| +id {2}email +plan/)
      expect(screen).toMatch(/\| +1 {2}r\*\*\*@/)
      expect(screen).toMatch(/held as T-[0-9A-Z]{8}/)
      expect(screen).toMatch(/T-[0-9A-Z]{8} approved/)
      expect(screen).toContain('define: deny')
      expect(screen).toMatch(/a\\tb\\u\{1b\}\[31mred {2}NULL/)
      expect(screen).not.toContain(first?.email)
    } finally {
      await terminal.close()
    }
    const stepped = await company.gateway.cli(['sessions', 'replay', session, '--step'], { input: '\n\nq\n' })
    expect(stepped).toMatchObject({ code: 0 })
    expect(stepped.stdout.match(/^\d\d:\d\d:/gm)).toHaveLength(3)
    const http = (await answer('sessions', 'ls', '--connection', 'crm-api')).sessions[0].session
    expect((await cli('sessions', 'replay', http, '--speed', '1000')).stdout).toMatch(
      /\| \{.*"email":"r\*\*\*@/,
    )
  })

  test('a replay keeps the pace of the recording', async () => {
    const { entries } = await answer('sessions', 'show', session)
    const took = entries.at(-1).time - entries[0].time
    const began = Date.now()
    await cli('sessions', 'replay', session)
    expect(Date.now() - began).toBeGreaterThanOrEqual(took)
  })

  test('exports are what other tools read', async () => {
    const lines = async (format: string) => {
      const done = await cli('sessions', 'export', session, '--format', format)
      expect(done).toMatchObject({ code: 0, stderr: '' })
      return done.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line))
    }
    const entries = await lines('jsonl')
    expect(entries[0]).toMatchObject({ session, kind: 'open' })
    expect(entries.at(-1)).toMatchObject({ kind: 'close' })
    expect(entries.some(({ body }) => typeof body === 'string')).toBe(true)

    const [header, ...events] = await lines('asciicast')
    expect(header).toMatchObject({ version: 2, width: 132, height: 40 })
    expect(events.every(([at, code, data]) => at >= 0 && code === 'o' && data.endsWith('\r\n'))).toBe(true)
    expect(events.map(([at]) => at)).toEqual(events.map(([at]) => at).toSorted((a, b) => a - b))

    const ocsf = await lines('ocsf')
    expect(ocsf[0]).toMatchObject({
      class_uid: 6005,
      type_uid: 600504,
      status_id: 1,
      action_id: 1,
      actor: { user: { name: AGENT, groups: [{ name: 'support-agents' }] } },
      query_info: { query_string: SELECT },
      unmapped: {
        masked: ['pii.email'],
        columns: [{ column: 'public.customers.email', label: 'pii.email' }],
      },
    })
    expect(ocsf.find(({ unmapped }) => unmapped.class === 'define')).toMatchObject({
      action_id: 2,
      status_id: 2,
    })
    expect(ocsf.find(({ unmapped }) => unmapped.decision === 'hold')).toMatchObject({
      unmapped: { approval: { answer: 'approved' } },
    })

    const csv = await cli('sessions', 'export', session, '--format', 'csv', '--command', '1')
    const [titles, row] = csv.stdout.split('\r\n')
    expect(titles).toBe('id,email,plan')
    expect(row).toMatch(/^1,r\*\*\*@/)
    // Between them stand commands of the gateway's own, such as its look at what the held one reaches.
    const { n } = entries.find(({ kind, head }) => kind === 'intent' && head.text.includes(' AS odd')).head
    const odd = await cli('sessions', 'export', session, '--format', 'csv', '--command', String(n))
    expect(odd.stdout).toBe('odd,nothing,empty\r\na\tb\u001b[31mred,,""\r\n')
    expect(await cli('sessions', 'export', session, '--format', 'csv', '--command', '99')).toMatchObject({
      code: 1,
    })
  })

  test('who saw a column, and what an identity saw', async () => {
    const who = await answer('audit', 'who', '--saw', 'public.customers.email', '--since', '1h')
    expect(who.viewers).toEqual([
      expect.objectContaining({ chain: [`person:${PERSON}`], shown: 'clear', commands: 1, rows: 1 }),
      expect.objectContaining({ chain: [`agent:${AGENT}`], shown: 'masked', commands: 1, rows: 2 }),
    ])
    expect(who.sightings.at(-1)).toMatchObject({
      session,
      n: 1,
      outcome: 'ok',
      column: 'public.customers.email',
    })
    expect(
      (await answer('audit', 'who', '--saw', 'public.customers.email', '--until', '1h')).viewers,
    ).toEqual([])
    const byLabel = await answer('audit', 'who', '--saw', 'pii.email')
    expect(byLabel.sightings.map((each: { column: string }) => each.column)).toContain(
      '/customers/{id}: **.email',
    )
    const seen = await answer('audit', 'seen', '--by', `agent:${AGENT}`)
    expect(seen.columns).toContainEqual(
      expect.objectContaining({ column: 'public.customers.email', shown: 'masked' }),
    )
    expect(seen.tables).toContainEqual(
      expect.objectContaining({ table: 'public.customers', kind: 'written', commands: 1 }),
    )
    expect((await answer('audit', 'seen', '--by', 'agent:nobody')).tables).toEqual([])
  })

  test('the tail shows a session as it happens, and reading leaves a record of itself', async () => {
    const child = spawn(process.execPath, [CLI, 'sessions', 'tail', '--connection', 'crm'], {
      env: { ...cleanEnvironment(), SLUICE_DATA: company.gateway.dataDirectory },
    })
    later(async () => void child.kill())
    let shown = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text))
    const all = spawn(process.execPath, [CLI, 'sessions', 'tail', '--json'], {
      env: { ...cleanEnvironment(), SLUICE_DATA: company.gateway.dataDirectory },
    })
    later(async () => void all.kill())
    let records = ''
    all.stdout.setEncoding('utf8').on('data', (text: string) => (records += text))
    let n = 0
    await eventually(
      'the tail to show a statement',
      async () => {
        await cli('query', 'crm', `SELECT ${++n} AS followed`, '--as', AGENT)
        await cli('query', 'crm-api', 'GET /customers/2', '--as', AGENT)
        if (!/followed/.test(shown) || !/followed/.test(records)) throw new Error(shown)
        return true
      },
      60_000,
    )
    expect(shown).toMatch(/^[0-9A-Z]{8} {2}\d\d:\d\d:\d\d\.\d{3} {2}#1 /m)
    expect(shown).not.toContain('/customers/2')
    await cli('sessions', 'show', session)
    await cli('sessions', 'replay', session, '--speed', '1000')
    await cli('sessions', 'export', session, '--format', 'ocsf')
    await cli('sessions', 'ls', '--text', 'a text that is nobody else’s business')
    await cli('audit', 'who', '--saw', 'pii.email')
    await cli('audit', 'seen', '--by', 'person:ada')
    await eventually(
      'all records',
      async () => {
        for (const wanted of [
          'purpose=show',
          'purpose=replay',
          'purpose=export',
          'recording.search',
          'audit.who',
          'audit.seen',
        ])
          if (!records.includes(wanted)) throw new Error(`${wanted}: ${records}`)
        return true
      },
      60_000,
    )
    expect(records).not.toContain('business')
  })
})
