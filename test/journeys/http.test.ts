/** An agent uses the company's internal API with a gateway token: masked, refused, held, by fetch and by curl. */
import { beforeAll, describe, expect, test } from 'vitest'
import { makeCompany } from '../../src/sample/index.ts'
import type { Person } from '../support/person.ts'
import { enrolPerson } from '../support/person.ts'
import { run } from '../support/process.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import type { Company } from './company.ts'
import { AGENT, PERSON, startCompany } from './company.ts'

type Problem = { title: string; detail: string; [name: string]: unknown }

describe('the internal API through the gateway', () => {
  const later = teardown()
  let company: Company
  let token: string
  let ada: Person
  const [first] = makeCompany().customers

  beforeAll(async () => {
    company = await startCompany(15)
    later(() => company.stop())
    ada = await enrolPerson(company.gateway, PERSON)
    const done = await company.gateway.cli(['token', 'crm-api', '--as', AGENT])
    expect(done.stderr).toBe('')
    token = done.stdout.trim()
  })

  const url = (path: string) => `http://127.0.0.1:${company.gateway.ports['http']}/c/crm-api${path}`
  const ask = async (path: string, init: RequestInit = {}, bearer = token) =>
    fetch(url(path), { ...init, headers: { authorization: `Bearer ${bearer}`, ...init.headers } })
  const served = (request: string) => company.api.served.filter((each) => each === request).length

  test('P-02: protected fields are masked wherever they stand, everything else is as it was', async () => {
    const response = await ask('/customers?limit=2')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^application\/json/)
    const { total, items } = (await response.json()) as { total: number; items: Record<string, unknown>[] }
    expect(total).toBe(makeCompany().customers.length)
    expect(items[0]).toEqual({
      ...first,
      name: expect.stringMatching(/^R\*+$/),
      email: `r***${first?.email.slice(first.email.indexOf('@'))}`,
      phone: expect.stringMatching(new RegExp(`^\\*+${first?.phone?.slice(-2)}$`)),
    })

    const one = await (await ask('/customers/2')).text()
    const clear = makeCompany()
    for (const secret of [
      clear.customers[1]?.email,
      clear.customers[1]?.name,
      clear.api_keys.find(({ customer_id }) => customer_id === 2)?.key,
    ]) {
      expect(secret).toBeTypeOf('string')
      expect(one).not.toContain(secret)
    }
    // The gateway's own credential opened the way; the agent's was not passed on.
    expect(served('GET /customers?limit=2')).toBe(1)
  })

  test('P-09: what no rule permits is refused with a reason, and never reaches the API', async () => {
    for (const [method, path] of [
      ['DELETE', '/customers/9'],
      ['GET', '/export/customers'],
      ['POST', '/customers/9'],
      ['GET', '/customers/9/../../export/customers'],
    ] as const) {
      const response = await ask(path, { method })
      expect(response.status, `${method} ${path}`).toBe(403)
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
      const problem = (await response.json()) as Problem
      expect(`${problem.title} ${problem.detail}`.length).toBeGreaterThan(20)
      expect(JSON.stringify(problem)).toMatch(/[0-9A-Z]{26}\.\d+/)
    }
    expect(company.api.served.filter((each) => /DELETE|export|POST \/customers/.test(each))).toEqual([])
  })

  test('a wrong token, or one for the database, opens nothing', async () => {
    const dsn = new URL(await company.gateway.dsn('crm', AGENT))
    for (const wrong of ['', 'nonsense', `${token.slice(0, -2)}xx`, dsn.password, company.apiToken]) {
      const response = await ask('/customers/4', {}, wrong)
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/)
    }
    expect(served('GET /customers/4')).toBe(0)
  })

  async function ticketOf(path: string): Promise<string> {
    return eventually(`a request for ${path}`, async () => {
      const { stdout } = await company.gateway.cli(['approvals', 'ls', '--json'])
      const { approvals }: { approvals: { ticket: string; text: string }[] } = JSON.parse(stdout)
      return approvals.find(({ text }) => text.includes(path))?.ticket
    })
  }

  test('P-05: a refund waits until a person has looked, and is then made once', async () => {
    const paid = makeCompany().invoices.find(({ status }) => status === 'paid')?.id
    const path = `/invoices/${paid}/refund`
    const waiting = ask(path, { method: 'POST' })
    const ticket = await ticketOf(path)
    expect(served(`POST ${path}`)).toBe(0)
    expect(await ada.approve(ticket)).toMatchObject({ code: 0 })
    const response = await waiting
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ id: paid, status: 'refunded' })
    expect(served(`POST ${path}`)).toBe(1)
  })

  test('P-05: refused or abandoned, it is never made', async () => {
    const [, second, third] = makeCompany().invoices.filter(({ status }) => status === 'paid')
    const refused = ask(`/invoices/${second?.id}/refund`, { method: 'POST' })
    await ada.deny(await ticketOf(`/invoices/${second?.id}/refund`), 'no')
    expect((await refused).status).toBe(403)
    expect(((await (await refused).json()) as Problem).detail.length).toBeGreaterThan(10)

    const gone = new AbortController()
    const abandoned = ask(`/invoices/${third?.id}/refund`, { method: 'POST', signal: gone.signal })
    const ticket = await ticketOf(`/invoices/${third?.id}/refund`)
    gone.abort()
    await expect(abandoned).rejects.toThrow(/abort/i)
    await ada.approve(ticket)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(company.api.served.filter((each) => /refund/.test(each))).toHaveLength(1)
  })

  test('curl, with the token in the environment that `sluice run` gives', async () => {
    const script = 'curl -sS -H "Authorization: Bearer $SLUICE_TOKEN" "$SLUICE_URL/customers/1"'
    const done = await company.gateway.cli(['run', 'crm-api', '--as', AGENT, '--', 'sh', '-c', script])
    expect(done.stderr).toBe('')
    expect(JSON.parse(done.stdout)).toMatchObject({ id: 1, company: first?.company })
    expect(done.stdout).not.toContain(first?.email)
    expect((await run('curl', ['--version'])).code).toBe(0)
    expect(company.gateway.stderr()).toBe('')
  })
})
