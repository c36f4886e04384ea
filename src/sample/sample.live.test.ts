import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Sample } from './index.ts'
import { makeCompany, startSample } from './index.ts'

const secrets = { superuser: 'sample-superuser', role: 'sample-role', apiToken: 'sample-token' }
let place: string
let sample: Sample

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'sluice-sample-'))
  sample = await startSample({ dataDirectory: join(place, 'data'), secrets })
})

afterAll(async () => {
  await sample.stop()
  await rm(place, { recursive: true, force: true })
})

async function sql(text: string, values: unknown[] = []) {
  const { host, port } = sample.postgres
  const client = new Client({
    host,
    port,
    user: sample.role,
    password: secrets.role,
    database: sample.database,
  })
  await client.connect()
  try {
    return (await client.query(text, values)).rows
  } finally {
    await client.end()
  }
}

async function api(path: string, init: RequestInit = {}, token = secrets.apiToken) {
  const response = await fetch(sample.api.url + path, {
    ...init,
    headers: { authorization: `Bearer ${token}` },
  })
  return { status: response.status, body: await response.text() }
}

describe('the invented company', () => {
  test('is the same every time, and another with another seed', () => {
    expect(makeCompany(7)).toEqual(makeCompany(7))
    expect(makeCompany(7)).not.toEqual(makeCompany(8))
  })

  test('has only addresses nobody can own, and IBANs whose check digits are right', () => {
    const company = makeCompany()
    for (const { email } of [...company.customers, ...company.employees])
      expect(email).toMatch(/^[a-z.]+\d*@[a-z]+\.example$/)
    const ibans = company.payment_methods.flatMap(({ iban }) => (iban === null ? [] : [iban]))
    expect(ibans.length).toBeGreaterThan(20)
    for (const iban of ibans) {
      const numeric = [...(iban.slice(4) + iban.slice(0, 4))]
        .map((each) => Number.parseInt(each, 36))
        .join('')
      expect(BigInt(numeric) % 97n, iban).toBe(1n)
    }
  })
})

describe('the sample', () => {
  test('has the same people in the database and in the API', async () => {
    const [row] = await sql('SELECT name, email, company FROM customers WHERE id = $1', [17])
    const { status, body } = await api('/customers/17')
    expect(status).toBe(200)
    expect(JSON.parse(body)).toMatchObject(row)
    expect(await sql('SELECT count(*)::int AS n FROM customers')).toEqual([
      { n: makeCompany().customers.length },
    ])
  })

  test('gives the gateway a role that can work, but define and administer nothing', async () => {
    expect(await sql("UPDATE invoices SET status = 'paid' WHERE id = 6 RETURNING status")).toEqual([
      { status: 'paid' },
    ])
    expect(
      await sql(
        'INSERT INTO support_tickets (customer_id, subject, body, status, priority, created_at) ' +
          "VALUES (1, 's', 'b', 'new', 1, now()) RETURNING id",
      ),
    ).toHaveLength(1)
    await expect(sql('CREATE TABLE x ()')).rejects.toMatchObject({ code: '42501' })
    await expect(sql('CREATE ROLE x')).rejects.toMatchObject({ code: '42501' })
    await expect(sql("SELECT pg_read_file('postgresql.conf')")).rejects.toMatchObject({ code: '42501' })
    const [role] = await sql(
      'SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = current_user',
    )
    expect(Object.values(role)).toEqual([false, false, false, false, false])
  })

  test('answers only who has the token, and changes what it is told to', async () => {
    expect(await api('/customers', {}, 'other')).toMatchObject({ status: 401 })
    const paid = JSON.parse((await api('/invoices?status=paid&limit=1')).body).items[0].id
    expect(await api(`/invoices/${paid}/refund`, { method: 'POST', body: '{}' })).toMatchObject({
      status: 200,
    })
    expect(await api(`/invoices/${paid}/refund`, { method: 'POST' })).toMatchObject({ status: 409 })
    expect(await api('/customers/5', { method: 'DELETE' })).toMatchObject({ status: 200 })
    expect(await api('/customers/5')).toMatchObject({ status: 404 })
    expect((await api('/export/customers')).body.split('\r\n')).toHaveLength(
      makeCompany().customers.length + 1,
    )
    expect(sample.api.served).not.toContain('GET /customers')
  })
})
