/** Rows of the catalogue of attacks that are about approvals and the people who give them, each by its name. */
import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Message, Target } from '../differential/raw-client.ts'
import { bind, execute, parse, query, RawClient, sync } from '../differential/raw-client.ts'
import { mintDsn } from '../support/mint.ts'
import type { Person } from '../support/person.ts'
import { enrolPerson } from '../support/person.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import { journalOf } from './evidence.ts'
import type { World } from './world.ts'
import { marksIn, startWorld, targetOf } from './world.ts'

const TICKET = /T-[0-9A-Z]{8}/

/** May do anything once a person has looked, and sees nothing. */
const CLERKS = ['clerk', 'flooder', 'reader', 'helper', 'traveller'] as const

const RULE = `  - name: clerks do what a person has looked at
    who: { identities: [${CLERKS.map((name) => `"agent:${name}"`).join(', ')}] }
    on: [crm-super, crm-patient]
    permit: { run: all, unreviewed: [administer], unlimited: true, store: all }
  - name: the traveller reads and sets what it likes
    who: { identities: ["agent:traveller"] }
    on: [crm-super]
    permit: { run: [read], unreviewed: [read] }
  - name: and whom the helper helps is asked about as well
    who: { identities: ["person:ada"] }
    on: [crm-super]
    permit: { run: [read, write] }
`

type Approval = {
  readonly ticket: string
  readonly state: string
  readonly text: string
  readonly chain: readonly string[]
}

describe('P-05 held is held: published attacks on approvals', () => {
  const later = teardown()
  let world: World
  let ada: Person
  let eve: Person
  let n = 0

  beforeAll(async () => {
    world = await startWorld({
      edit: (text) =>
        `${text
          .replace(
            '  local:\n',
            (head) =>
              `${head}    - { name: eve, kind: person, roles: [approver] }\n${CLERKS.map(
                (name) =>
                  `    - { name: ${name}, kind: agent${name === 'helper' ? ', actsFor: [ada]' : ''} }\n`,
              ).join('')}`,
          )
          .replace(
            /  crm-super:\n[\s\S]*?(?=  crm:\n)/,
            (block) =>
              block + block.replace('crm-super:', 'crm-patient:').replace('patience: 100ms', 'patience: 30s'),
          )}${RULE}`,
    })
    later(() => world.stop())
    ada = await enrolPerson(world.gateway, 'ada')
    eve = await enrolPerson(world.gateway, 'eve')
    await world.server.sql('CREATE TABLE notes (id integer PRIMARY KEY, note text)', [], 'crm')
    await world.server.sql("INSERT INTO notes SELECT g, 'nothing' FROM generate_series(1, 100) g", [], 'crm')
    for (const each of [
      'CREATE TABLE one (id integer)',
      'CREATE TABLE two (id integer)',
      'INSERT INTO two SELECT generate_series(1, 9)',
      'CREATE TABLE head (id integer PRIMARY KEY)',
      'CREATE TABLE tail (head integer)',
      'CREATE TABLE filled (id integer, note text)',
    ])
      await world.server.sql(each, [], 'crm')
    await world.server.sql("CREATE VIEW told AS SELECT id, 'nothing'::text AS note FROM customers", [], 'crm')
  }, 120_000)

  const write = (): string => `UPDATE notes SET note = 'changed' WHERE id = ${++n}`

  async function opened(identity: string, actsFor?: string): Promise<RawClient> {
    return (await RawClient.open(await targetFor(identity, actsFor))).client
  }
  async function targetFor(identity: string, actsFor?: string): Promise<Target> {
    return targetOf(await mintDsn(world.gateway, 'crm-super', identity, actsFor))
  }

  async function asked(client: RawClient, bytes: Buffer): Promise<Message[]> {
    client.write(bytes)
    return client.readUntilReady()
  }
  const say = async (client: RawClient, sql: string) => asked(client, query(sql))
  const wordsOf = (messages: readonly Message[]) =>
    messages.map(({ body }) => body.toString('utf8')).join('\n')
  const ticketIn = (messages: readonly Message[]) => TICKET.exec(wordsOf(messages))?.[0] ?? ''
  const rowsIn = (messages: readonly Message[]) => messages.filter(({ type }) => type === 'D').length
  const stateIn = (messages: readonly Message[]) =>
    /\0C(\w{5})/.exec(`\0${messages.find(({ type }) => type === 'E')?.body.toString('latin1') ?? ''}`)?.[1]

  /** The gateway looks every two seconds whether definitions have changed. */
  const settled = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 3_000))
  }

  async function approvals(): Promise<Approval[]> {
    const answer = await world.operator.call('GET', '/v1/approvals')
    return Reflect.get(Object(answer), 'approvals')
  }
  async function changed(): Promise<number> {
    const [row] = await world.server.sql<{ n: number }>(
      "SELECT count(*)::int AS n FROM notes WHERE note <> 'nothing'",
      [],
      'crm',
    )
    return row?.n ?? 0
  }

  test('J-01 the same command from everywhere is one request, and one identity has only so many open', async () => {
    const dsn = await targetFor('flooder')
    const clients = await Promise.all(
      Array.from({ length: 10 }, async () => (await RawClient.open(dsn)).client),
    )
    const sql = write()
    const tickets = await Promise.all(clients.map(async (client) => ticketIn(await say(client, sql))))
    expect(new Set(tickets).size).toBe(1)
    const states = await Promise.all(
      clients.map(async (client, i) => {
        const seen: (string | undefined)[] = []
        for (let k = 0; k < 6; k++) seen.push(stateIn(await say(client, `${write()} AND ${i} = ${i}`)))
        return seen
      }),
    )
    for (const client of clients) await client.close()
    const open = (await approvals()).filter(({ chain }) => chain.join().includes('flooder'))
    expect(open.length).toBe(50)
    expect(states.flat().filter((state) => state !== 'SL002').length).toBe(11)
    // Others are not kept from asking.
    const clerk = await opened('clerk')
    expect(ticketIn(await say(clerk, write()))).toMatch(TICKET)
    await clerk.close()
  })

  test('J-02 what was approved under one search path or role does not run under another', async () => {
    const client = await opened('clerk')
    const sql = write()
    const ticket = ticketIn(await say(client, sql))
    await ada.approve(ticket)
    const before = await changed()
    for (const other of [{ search_path: 'pg_catalog, public' }, { role: 'crm_app' }]) {
      const { client: elsewhere, greeting } = await RawClient.open(await targetFor('clerk'), other)
      if (greeting.at(-1)?.type === 'Z') expect(ticketIn(await say(elsewhere, sql))).not.toBe(ticket)
      else expect(stateIn(greeting)).toMatch(/^(SL|0A|08)/)
      elsewhere.destroy()
    }
    expect(await changed()).toBe(before)
    expect(wordsOf(await say(client, sql))).toContain('UPDATE 1')
    await client.close()
  })

  test('J-02 a view that shows more when the answer comes shows nothing by that answer', async () => {
    const client = await opened('reader')
    const sql = 'SELECT id, note FROM told ORDER BY id LIMIT 5'
    client.write(parse('kept', sql), sync())
    await client.readUntilReady()
    const ticket = ticketIn(await say(client, sql))
    const held = ticketIn(await asked(client, Buffer.concat([bind('', 'kept', [], 0), execute(''), sync()])))
    expect(held).not.toBe('')
    const more = 'CREATE OR REPLACE VIEW told AS SELECT id, email AS note FROM customers'
    await world.server.sql(more, [], 'crm')
    for (const each of [ticket, held]) await ada.approve(each)
    const seen = await say(client, sql)
    seen.push(...(await asked(client, Buffer.concat([bind('', 'kept', [], 0), execute(''), sync()]))))
    expect(marksIn(Buffer.concat(seen.map(({ body }) => body)))).toEqual([])
    expect(seen.filter(({ type }) => type === 'D')).toEqual([])
    await client.close()
  })

  test('J-02 a view that changes while the command waits, too', async () => {
    await world.server.sql(
      "CREATE OR REPLACE VIEW told AS SELECT id, 'nothing'::text AS note FROM customers",
      [],
      'crm',
    )
    const dsn = new URL(await mintDsn(world.gateway, 'crm-patient', 'reader'))
    const client = new Client({ connectionString: dsn.href })
    const notices: string[] = []
    client.on('notice', ({ message }) => notices.push(message ?? ''))
    await client.connect()
    const sql = 'SELECT id, note FROM told ORDER BY id LIMIT 7'
    const waiting = client.query(sql).then(
      ({ rows }) => JSON.stringify(rows),
      (error: unknown) => String(error),
    )
    const ticket = await eventually('a ticket', () => TICKET.exec(notices.join())?.[0])
    await world.server.sql(
      'CREATE OR REPLACE VIEW told AS SELECT id, email AS note FROM customers',
      [],
      'crm',
    )
    await ada.approve(ticket)
    const answer = await waiting
    expect(marksIn(Buffer.from(answer)), answer).toEqual([])
    expect(answer).toMatch(/definitions changed while it waited/)
    await client.end()
  })

  test.each([
    [
      'the name of another table',
      'DELETE FROM one WHERE id > 0',
      'ALTER TABLE one RENAME TO gone; ALTER TABLE two RENAME TO one',
    ],
    [
      'a cascade behind it',
      'DELETE FROM head WHERE id = 3',
      'ALTER TABLE tail ADD FOREIGN KEY (head) REFERENCES head ON DELETE CASCADE',
    ],
    [
      'a default',
      'INSERT INTO filled (id) VALUES (50)',
      "ALTER TABLE filled ALTER COLUMN note SET DEFAULT 'changed'",
    ],
  ])('J-02 %s that has changed since the answer makes it another command', async (_what, sql, change) => {
    const client = await opened('clerk')
    const ticket = ticketIn(await say(client, sql))
    expect(ticket).toMatch(TICKET)
    expect(await ada.approve(ticket)).toMatchObject({ code: 0 })
    for (const each of change.split('; ')) await world.server.sql(each, [], 'crm')
    const words = wordsOf(await say(client, sql))
    expect(words).toMatch(/definitions changed while it waited|Held for approval/)
    expect(words).not.toMatch(/DELETE \d|INSERT 0/)
    await client.close()
  })

  test('J-02 what was approved under one setting of the application does not run under another', async () => {
    const sql = `UPDATE notes SET note = 'changed' WHERE id = current_setting('app.row')::integer`
    await settled()
    const one = await opened('traveller')
    await say(one, "SET app.row = '99'")
    const ticket = ticketIn(await say(one, sql))
    expect(await ada.approve(ticket)).toMatchObject({ code: 0 })
    const other = await opened('traveller')
    await say(other, "SET app.row = '98'")
    expect(ticketIn(await say(other, sql))).not.toBe(ticket)
    const { client: begun } = await RawClient.open(await targetFor('traveller'), { options: '-c app.row=97' })
    expect(ticketIn(await say(begun, sql))).not.toBe(ticket)
    // Somebody who comes again the same way gets it, and in a transaction that sets it for itself.
    const same = await opened('traveller')
    await say(same, "SET app.row = '99'")
    expect(wordsOf(await say(same, sql))).toContain('UPDATE 1')
    for (const client of [one, other, begun, same]) await client.close()
  })

  test('what a transaction sets for itself and takes back makes no difference to the next', async () => {
    const client = await opened('traveller')
    const sql = `UPDATE notes SET note = 'changed' WHERE id = current_setting('app.row')::integer`
    const attempt = async (): Promise<Message[]> => {
      await say(client, 'BEGIN')
      await say(client, "SET LOCAL app.row = '96'")
      return say(client, sql)
    }
    const ticket = ticketIn(await attempt())
    expect(ticket).toMatch(TICKET)
    await say(client, 'ROLLBACK')
    expect(await ada.approve(ticket)).toMatchObject({ code: 0 })
    expect(wordsOf(await attempt())).toContain('UPDATE 1')
    await say(client, 'COMMIT')
    await client.close()
  })

  test('J-03 an approval is for these arguments, this text and this identity', async () => {
    const client = await opened('clerk')
    const sql = 'UPDATE notes SET note = $1 WHERE id = $2'
    const run = (...values: string[]) =>
      Buffer.concat([parse('', sql), bind('', '', values, 0), execute(''), sync()])
    const ticket = ticketIn(await asked(client, run('harmless', '60')))
    await ada.approve(ticket)
    const before = await changed()
    for (const values of [
      ['harmful', '60'],
      ['harmless', '61'],
      ['harmless', '60 '],
    ])
      expect(ticketIn(await asked(client, run(...values)))).not.toBe(ticket)
    expect(ticketIn(await say(client, "UPDATE notes SET note = 'harmless' WHERE id = 60"))).not.toBe(ticket)
    const other = await opened('reader')
    expect(ticketIn(await asked(other, run('harmless', '60')))).not.toBe(ticket)
    expect(await changed()).toBe(before)
    expect(wordsOf(await asked(client, run('harmless', '60')))).toContain('UPDATE 1')
    await client.close()
    await other.close()
  })

  test('J-03 an approval is for these values: not for the same bytes in another format or of another type', async () => {
    const client = await opened('clerk')
    await world.server.sql("INSERT INTO notes VALUES (300, 'nothing'), (808661040, 'nothing')", [], 'crm')
    const sql = "UPDATE notes SET note = 'changed' WHERE id = $1"
    const run = (given: readonly (0 | 1)[], types: readonly number[] = []) =>
      Buffer.concat([parse('', sql, types), bind('', '', ['0300'], 0, given), execute(''), sync()])
    const ticket = ticketIn(await asked(client, run([])))
    await ada.approve(ticket)
    const before = await changed()
    const others = [run([1]), run([1], [23]), run([0], [23]), run([], [20])]
    const tickets: string[] = []
    for (const each of others) tickets.push(ticketIn(await asked(client, each)))
    expect(new Set([ticket, '', ...tickets]).size).toBe(others.length + 2)
    expect(await changed()).toBe(before)
    // None, one and each are ways to write the same, and so is a type that is left open.
    expect(wordsOf(await asked(client, run([0], [0])))).toContain('UPDATE 1')
    const shown = await Promise.all(tickets.map((each) => world.gateway.cli(['approvals', 'show', each])))
    const lines = shown.map(({ stdout }) => /\n(\$1 = .*)/.exec(stdout)?.[1])
    expect(lines).toEqual([
      '$1 = \\x30333030 (4 bytes, 808661040 if it is a whole number)',
      '$1 = \\x30333030 (4 bytes, 808661040) as integer',
      '$1 = "0300" as integer',
      '$1 = "0300" as bigint',
    ])
    await client.close()
  })

  test('J-02 what was approved under one DateStyle or TimeZone does not run under another', async () => {
    const sql =
      "UPDATE notes SET note = 'changed' WHERE id = 50 + extract(month FROM '01/02/2026'::date)::int"
    const [set, back] = ["SET DateStyle = 'SQL, DMY'", "SET DateStyle = 'ISO, MDY'"]
    const extended = (text: string) => Buffer.concat([parse('', text), bind('', '', [], 0), execute('')])
    const client = await opened('traveller')
    const ticket = ticketIn(await say(client, sql))
    await ada.approve(ticket)
    const before = await changed()
    const [other, named, piped, ended, behind] = [
      await opened('traveller'),
      await opened('traveller'),
      await opened('traveller'),
      await opened('traveller'),
      await opened('traveller'),
    ]
    await say(other, set)
    const seen = [await say(other, sql)]
    await say(other, "SET DateStyle = 'ISO, MDY'; SET TimeZone = 'Asia/Tokyo'")
    seen.push(await say(other, sql))
    // Read under one, bound under the other: the date is what it was when it was read.
    await say(named, set)
    await asked(named, Buffer.concat([parse('late', sql), sync()]))
    await say(named, back)
    seen.push(await asked(named, Buffer.concat([bind('', 'late', [], 0), execute(''), sync()])))
    // Changed before the server has told.
    seen.push(await asked(piped, Buffer.concat([extended(set), extended(sql), sync()])))
    await say(ended, `BEGIN; ${set}`)
    const rolled = Buffer.concat([extended('ROLLBACK'), extended(sql), sync()])
    seen.push(await asked(ended, rolled))
    const startup = await RawClient.open(await targetFor('traveller'), { DateStyle: 'SQL, DMY' })
    seen.push(await say(startup.client, sql))
    const tickets = seen.map(ticketIn)
    expect(tickets).not.toContain('')
    expect(new Set([ticket, '', ...tickets]).size).toBeGreaterThan(4)
    expect(tickets).not.toContain(ticket)
    expect(tickets).not.toContain('')
    // A prepared statement of SQL is what it was when it was prepared.
    const prepare = `PREPARE p AS ${sql}`
    const prepared = async (session: RawClient) => {
      const asked = ticketIn(await say(session, prepare))
      if (asked === '') return
      await ada.approve(asked)
      expect(ticketIn(await say(session, prepare))).toBe('')
    }
    await prepared(behind)
    const executed = ticketIn(await say(behind, 'EXECUTE p'))
    expect(executed).toMatch(TICKET)
    await ada.approve(executed)
    await say(other, `${set}; RESET TimeZone`)
    await prepared(other)
    await say(other, back)
    expect(ticketIn(await say(other, 'EXECUTE p'))).toMatch(TICKET)
    expect(ticketIn(await say(other, 'EXECUTE p'))).not.toBe(executed)
    expect(await changed()).toBe(before)
    expect(wordsOf(await say(await opened('traveller'), sql))).toContain('UPDATE 1')
    for (const each of [client, other, named, piped, ended, behind, startup.client]) each.destroy()
  })

  test('J-04 what a person reads of parameters cannot be mistaken for anything else', async () => {
    const client = await opened('clerk')
    const sql = 'UPDATE notes SET note = $1 WHERE id = 70 OR note = $2 OR note = $3 OR note = $4'
    const values = ['x\n$2 = 1', null, 'NULL', Buffer.from('a"\\\u202e\u0007')]
    const ticket = ticketIn(
      await asked(client, Buffer.concat([parse('', sql), bind('', '', values, 0), execute(''), sync()])),
    )
    const { stdout } = await world.gateway.cli(['approvals', 'show', ticket])
    const lines = ['$1 = "x\\n$2 = 1"', '$2 = NULL', '$3 = "NULL"', '$4 = "a\\"\\\\\\u202e\\u0007"']
    const shown = stdout.split('\n')
    expect(shown.slice(shown.indexOf(`| ${sql}`)).slice(0, 5)).toEqual([`| ${sql}`, ...lines])
    const json = JSON.parse((await world.gateway.cli(['approvals', 'show', ticket, '--json'])).stdout)
    expect(json.parameters).toEqual(lines.map((line, i) => (i === 1 ? null : line.slice(5))))
    await client.close()
  })

  test('J-08 what is approved already runs without being called held', async () => {
    const dsn = new URL(await mintDsn(world.gateway, 'crm-patient', 'clerk'))
    const { client } = await RawClient.open(targetOf(dsn.href))
    const { client: again } = await RawClient.open(targetOf(dsn.href))
    const sql = write()
    client.write(query(sql))
    const ticket = await eventually('a ticket', async () => {
      const waiting = (await approvals()).find(({ text, state }) => text === sql && state === 'pending')
      return waiting?.ticket
    })
    client.destroy()
    await ada.approve(ticket)
    const seen = await say(again, sql)
    expect(seen.map(({ type }) => type).join('')).toBe('CZ')
    expect((await approvals()).find((each) => each.ticket === ticket)?.state).toBe('used')
    again.destroy()
  })

  test('J-04 nothing hides from who has to look: no length, no direction, no control character', async () => {
    const client = await opened('clerk')
    const tricks = '\u202e\u2066\u200b\u001b[2K\u001b[1A\r\u0008'
    const sql = `${write()} /* ${tricks} ${'looks harmless '.repeat(4_000)} */ OR id = 90`
    const ticket = ticketIn(await say(client, sql))
    const shown = await world.gateway.cli(['approvals', 'show', ticket])
    expect(shown.stdout).toContain('OR id = 90')
    expect(shown.stdout).toMatch(/\\u\{202e\}\\u\{2066\}\\u\{200b\}\\u\{1b\}\[2K/)
    expect(shown.stdout.length).toBeGreaterThan(60_000)
    const listed = await world.gateway.cli(['approvals', 'ls'])
    for (const { stdout } of [shown, listed]) expect(stdout).not.toMatch(/[\u202e\u2066\u200b\u001b\r\u0008]/)
    expect(listed.stdout).toContain('...')
    await client.close()
  })

  test('J-05 a forbidden action in small pieces asks for each of them', async () => {
    const client = await opened('clerk')
    const before = await changed()
    const tickets = new Set<string>()
    for (const sql of [write(), write(), `${write()}; ${write()}`])
      tickets.add(ticketIn(await say(client, sql)))
    expect(tickets.size).toBe(3)
    expect(tickets).not.toContain('')
    expect(await changed()).toBe(before)
    await client.close()
  })

  test('J-06 nobody of the chain that asks can answer, nor the operator socket, nor a token', async () => {
    const client = await opened('helper', 'ada')
    const ticket = ticketIn(await say(client, write()))
    expect(ticket).toMatch(TICKET)
    const token = await world.gateway.cli(['token', 'crm-api', '--as', 'helper', '--for', 'ada'])
    for (const answer of [
      await ada.approve(ticket),
      await world.gateway.cli(['approvals', 'approve', ticket]),
      await world.gateway.cli(['approvals', 'approve', ticket], {
        env: { SLUICE_LOGIN: token.stdout.trim() },
      }),
      await world.gateway.cli(['approvals', 'approve', ticket, '--as', 'helper', '--code', '123456']),
    ])
      expect(answer.code).not.toBe(0)
    expect((await approvals()).find((each) => each.ticket === ticket)?.state).toBe('pending')
    expect(await eve.approve(ticket)).toMatchObject({ code: 0 })
    await client.close()
  })

  test('J-07 an answer counts once', async () => {
    const client = await opened('clerk')
    const sql = write()
    const ticket = ticketIn(await say(client, sql))
    const answers = await Promise.all([ada.approve(ticket), ada.approve(ticket), eve.approve(ticket)])
    expect(answers.filter(({ code }) => code === 0)).toHaveLength(1)
    expect(wordsOf(await say(client, sql))).toContain('UPDATE 1')
    for (const answer of [await ada.approve(ticket), await eve.deny(ticket, 'too late')])
      expect(answer.code).not.toBe(0)
    expect((await approvals()).find((each) => each.ticket === ticket)?.state).toBe('used')
    await client.close()
  })

  test('J-08 an approval does not outlive its one use', async () => {
    const [one, other] = [await opened('clerk'), await opened('clerk')]
    const sql = write()
    const ticket = ticketIn(await say(one, sql))
    await ada.approve(ticket)
    const both = await Promise.all([say(one, sql), say(other, sql)])
    expect(both.filter((seen) => wordsOf(seen).includes('UPDATE 1'))).toHaveLength(1)
    expect(ticketIn(await say(one, sql))).not.toBe(ticket)
    await one.close()
    await other.close()
  })

  test('A-29 and J-09 what the person sees of a held command holds no protected value', async () => {
    const client = await opened('clerk')
    const returning = `${write().replace('notes', 'customers').replace('note =', 'plan =').replace("'changed'", "'team'")} RETURNING name, email, phone`
    const ticket = ticketIn(await say(client, returning))
    // What an agent could copy into its own words is what it was shown.
    const masked = await opened('builder')
    const seen = wordsOf(await say(masked, 'SELECT name, email FROM customers WHERE id = 5'))
    const words = seen.replaceAll(/[^\w@. *]/g, '')
    const copied = ticketIn(await say(client, `${write()} /* please, it is about ${words} */`))
    for (const each of [ticket, copied]) {
      expect(each).toMatch(TICKET)
      const shown = JSON.stringify(await world.operator.call('GET', `/v1/approvals/${each}`))
      expect(marksIn(Buffer.from(shown)), shown).toEqual([])
    }
    expect(await ada.approve(ticket)).toMatchObject({ code: 0 })
    const returned = await say(client, returning)
    expect(rowsIn(returned)).toBe(1)
    expect(marksIn(Buffer.concat(returned.map(({ body }) => body)))).toEqual([])
    const kept = (await journalOf(world.gateway)).map((each) => JSON.stringify(each))
    expect(kept.filter((each) => marksIn(Buffer.from(each)).length > 0)).toEqual([])
    await client.close()
    await masked.close()
  })

  test('what came through is what people let through, and nothing went wrong', () => {
    expect(world.gateway.stderr()).toBe('')
  })
})
