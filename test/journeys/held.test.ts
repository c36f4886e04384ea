/**
 * An agent's write waits until a person has looked. Approved it goes on, on the same connection; refused, it ends with
 * the reason; and who has gone never has it run. What ran is what the server's own log says.
 */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Person } from '../support/person.ts'
import { enrolPerson } from '../support/person.ts'
import { cleanEnvironment } from '../support/process.ts'
import { isEstimate } from '../support/postgres.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import type { Terminal } from '../support/tmux.ts'
import { libpqEnvironment, openTerminal } from '../support/tmux.ts'
import { eventually } from '../support/wait.ts'
import type { Company } from './company.ts'
import { AGENT, PERSON, startCompany } from './company.ts'

const TICKET = /T-[0-9A-Z]{8}/
const HELD = fileURLToPath(new URL('clients/held.ts', import.meta.url))

type Line = {
  notice?: { code: string; message: string; detail?: string; hint?: string }
  done?: { command: string; rowCount: number }
  failed?: { code: string; message: string; detail?: string; hint?: string }
  usable?: number
}

describe('a held statement', () => {
  const later = teardown()
  let company: Company
  let ada: Person
  let n = 0

  beforeAll(async () => {
    company = await startCompany(15)
    later(() => company.stop())
    ada = await enrolPerson(company.gateway, PERSON)
  })

  /** A write that no other test makes, with a mark that the server's log can be searched for. */
  function write(): string {
    n++
    return `UPDATE customers SET plan = 'business' WHERE id = ${100 + n} /* mark ${n} */`
  }

  async function ran(sql: string): Promise<number> {
    const mark = /mark \d+ /.exec(sql)?.[0] ?? ''
    const logged = await company.server.statementsLogged()
    return logged.filter((each) => each.text.includes(mark) && !isEstimate(each)).length
  }

  async function states(): Promise<Map<string, string>> {
    const { stdout } = await company.gateway.cli(['approvals', 'ls', '--all', '--json'])
    const { approvals }: { approvals: { ticket: string; state: string }[] } = JSON.parse(stdout)
    return new Map(approvals.map(({ ticket, state }) => [ticket, state]))
  }

  describe('in psql', () => {
    async function inPsql(use: (terminal: Terminal) => Promise<void>): Promise<void> {
      const env = libpqEnvironment(await company.gateway.dsn('crm', AGENT))
      const terminal = await openTerminal(['psql', '-X'], env)
      try {
        await terminal.shows(/=>$/m)
        await use(terminal)
      } finally {
        await terminal.close()
      }
    }

    async function hold(terminal: Terminal, sql: string): Promise<string> {
      await terminal.type(`${sql};`, 'Enter')
      const shown = await terminal.shows(/NOTICE: .*T-[0-9A-Z]{8}/)
      expect(await ran(sql)).toBe(0)
      return TICKET.exec(shown)?.[0] ?? ''
    }

    test('P-05: approved, it runs on the same connection, once', async () => {
      await inPsql(async (terminal) => {
        const sql = write()
        const ticket = await hold(terminal, sql)
        expect(await ada.approve(ticket)).toMatchObject({ code: 0 })
        await terminal.shows(/^UPDATE 1$/m)
        expect(await ran(sql)).toBe(1)
        expect((await states()).get(ticket)).toBe('used')
        await terminal.type("SELECT 'still ' || 'here';", 'Enter')
        await terminal.shows(/ still here/)
      })
    })

    test('P-05: while it waits the terminal says so, and for how long', async () => {
      await inPsql(async (terminal) => {
        const sql = write()
        const ticket = await hold(terminal, sql)
        await terminal.shows(new RegExp(`^INFO: .*${ticket}, up to \\d+ s more`, 'm'), 20_000)
        expect(await ran(sql)).toBe(0)
        expect(await ada.approve(ticket)).toMatchObject({ code: 0 })
        await terminal.shows(/^UPDATE 1$/m)
      })
    })

    test('P-05: refused, it ends with the reason and the session goes on', async () => {
      await inPsql(async (terminal) => {
        const sql = write()
        const ticket = await hold(terminal, sql)
        expect(await ada.deny(ticket, 'not on a Friday')).toMatchObject({ code: 0 })
        const shown = await terminal.shows(/ERROR: /)
        expect(shown).toContain(ticket)
        await terminal.type("SELECT 'still ' || 'here';", 'Enter')
        await terminal.shows(/ still here/)
        expect(await ran(sql)).toBe(0)
      })
    })

    test('P-05: canceled with Ctrl-C it does not run, also when it is approved afterwards', async () => {
      await inPsql(async (terminal) => {
        const sql = write()
        const ticket = await hold(terminal, sql)
        await terminal.type('C-c')
        await terminal.shows(/ERROR: /)
        await terminal.type("SELECT 'still ' || 'here';", 'Enter')
        await terminal.shows(/ still here/)
        await ada.approve(ticket)
        expect(await ran(sql)).toBe(0)
      })
    })

    test('P-05: whoever has gone never has it run, approved or not', async () => {
      const sql = write()
      let ticket = ''
      await inPsql(async (terminal) => {
        ticket = await hold(terminal, sql)
      })
      await ada.approve(ticket)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      expect(await ran(sql)).toBe(0)
    })
  })

  describe('in node-postgres', () => {
    async function start(args: readonly string[]) {
      const dsn = await company.gateway.dsn('crm', AGENT)
      const child: ChildProcess = spawn(process.execPath, [HELD, ...args], {
        env: { ...cleanEnvironment(), SLUICE_TEST_DSN: dsn },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const ended = once(child, 'close')
      let text = ''
      child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      const lines = (): Line[] =>
        text
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line))
      const notice = await eventually('a notice', () => lines().find((line) => line.notice)?.notice)
      return {
        child,
        notice,
        ticket: TICKET.exec(`${notice.message} ${notice.detail} ${notice.hint}`)?.[0] ?? '',
        async finish() {
          await ended
          return lines()
        },
      }
    }

    test('P-05: approved, it runs on the same connection, once', async () => {
      const sql = write()
      const held = await start([sql])
      expect(held.notice.code).toMatch(/^(01|00|SL)/)
      expect(await ran(sql)).toBe(0)
      expect(await ada.approve(held.ticket)).toMatchObject({ code: 0 })
      const lines = await held.finish()
      expect(lines).toContainEqual({ done: { command: 'UPDATE', rowCount: 1 } })
      expect(lines).toContainEqual({ usable: 1 })
      expect(await ran(sql)).toBe(1)
    })

    test('P-05: with parameters, by the extended protocol', async () => {
      const sql = `UPDATE customers SET plan = $1 WHERE id = $2 /* mark ${++n} */`
      const held = await start([sql, 'team', '42'])
      expect(await ran(sql)).toBe(0)
      const shown = await company.gateway.cli(['approvals', 'show', held.ticket])
      expect(shown.stdout).toContain(sql)
      expect(shown.stdout).toMatch(/team[\s\S]*42/)
      await ada.approve(held.ticket)
      expect(await held.finish()).toContainEqual({ done: { command: 'UPDATE', rowCount: 1 } })
      expect(await ran(sql)).toBe(1)
    })

    test('P-05, P-09: refused, with the reason in the driver’s own error', async () => {
      const sql = write()
      const held = await start([sql])
      await ada.deny(held.ticket, 'ask me first')
      const lines = await held.finish()
      const failed = lines.find((line) => line.failed)?.failed
      expect(failed?.code).toBe('SL003')
      expect(`${failed?.message} ${failed?.detail} ${failed?.hint}`).toContain(held.ticket)
      expect(lines).toContainEqual({ usable: 1 })
      expect(await ran(sql)).toBe(0)
    })

    test('P-05: killed while it waits, it never runs', async () => {
      const sql = write()
      const held = await start([sql])
      held.child.kill('SIGKILL')
      await held.finish()
      await ada.approve(held.ticket)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      expect(await ran(sql)).toBe(0)
    })
  })

  describe('answers', () => {
    test('come from people only: not from the operator socket, not from the agent', async () => {
      const sql = write()
      const dsn = await company.gateway.dsn('crm', AGENT)
      const waiting = psql(dsn, `${sql};\n`)
      const ticket = await eventually(
        'a request',
        async () => [...(await states())].find(([, state]) => state === 'pending')?.[0],
      )
      for (const args of [
        ['approvals', 'approve', ticket],
        ['approvals', 'approve', ticket, '--as', AGENT, '--code', '123456'],
        ['approvals', 'approve', ticket, '--as', PERSON, '--code', '000000'],
      ]) {
        const done = await company.gateway.cli(args)
        expect(done.code, args.join(' ')).not.toBe(0)
      }
      expect(await ran(sql)).toBe(0)
      await ada.deny(ticket, 'done')
      expect((await waiting).stderr).toContain(ticket)
    })
  })

  test('in an open transaction it fails at once with the ticket; approved, the same command runs once', async () => {
    const sql = write()
    const dsn = await company.gateway.dsn('crm', AGENT)
    const first = await psql(dsn, `BEGIN;\nSELECT 1;\n${sql};\nCOMMIT;\nSELECT 2;`, [
      '-v',
      'VERBOSITY=verbose',
    ])
    const ticket = TICKET.exec(first.stderr)?.[0] ?? ''
    expect(first.stderr).toMatch(/ERROR: {2}SL002: /)
    expect(first.stdout).toMatch(/ROLLBACK[\s\S]*2/)
    expect(await ran(sql)).toBe(0)
    await ada.approve(ticket)
    const second = await psql(dsn, `BEGIN;\nSELECT 1;\n${sql};\nCOMMIT;`)
    expect(second.stdout).toMatch(/UPDATE 1\nCOMMIT/)
    expect(await ran(sql)).toBe(1)
    const third = await psql(dsn, `BEGIN;\nSELECT 1;\n${sql};\nCOMMIT;`, ['-v', 'VERBOSITY=verbose'])
    expect(third.stderr).toMatch(/ERROR: {2}SL002: /)
    expect(await ran(sql)).toBe(1)
    expect(company.gateway.stderr()).toBe('')
  })
})

describe('a held statement that nobody answers', () => {
  const later = teardown()

  test('ends as pending after its patience; the same again after approval runs', async () => {
    const company = await startCompany(15, { patience: '1s' })
    later(() => company.stop())
    const ada = await enrolPerson(company.gateway, PERSON)
    const dsn = await company.gateway.dsn('crm', AGENT)
    const sql = "UPDATE customers SET plan = 'team' WHERE id = 3"
    const first = await psql(dsn, `${sql};\nSELECT 'usable';`, ['-v', 'VERBOSITY=verbose'])
    expect(first.stderr).toMatch(/NOTICE: [\s\S]*ERROR: {2}SL002: /)
    expect(first.stdout).toContain('usable')
    const ticket = TICKET.exec(first.stderr)?.[0] ?? ''
    const again = await psql(dsn, `${sql};`)
    expect(TICKET.exec(again.stderr)?.[0]).toBe(ticket)
    await ada.approve(ticket)
    // Another client, another connection: the request is bound to who asks and to what is asked.
    expect((await psql(dsn, `${sql};`)).stdout).toBe('UPDATE 1\n')
    const afterwards = await psql(dsn, `${sql};`)
    expect(TICKET.exec(afterwards.stderr)?.[0]).not.toBe(ticket)
    const updates = (await company.server.statementsLogged()).filter(({ text }) =>
      text.startsWith('UPDATE customers'),
    )
    expect(updates).toHaveLength(1)
    expect(company.gateway.stderr()).toBe('')
  })
})
