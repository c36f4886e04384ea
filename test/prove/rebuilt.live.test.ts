/**
 * Everything that a client received as rows, COPY data, tags, errors and notices can be rebuilt from the recording,
 * byte for byte: real drivers do whatever they can, and what went over the wire is compared with what was kept.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import type { SessionId } from '../../src/core/index.ts'
import { brand, OUTSIDE_COMMANDS } from '../../src/core/index.ts'
import { FieldOpener, readSession } from '../../src/recording/index.ts'
import type { Tap } from '../abuse/tap.ts'
import { startTap, through } from '../abuse/tap.ts'
import { JOURNEY_DATABASE, JOURNEY_PASSWORD, JOURNEY_ROLE, makeJourneyDatabase } from '../journeys/fixture.ts'
import { UPSTREAM_PASSWORD } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { randomFrom, seed, tally, times } from '../support/proof.ts'
import { teardown } from '../support/teardown.ts'
import { DRIVERS } from './rebuilt/drivers.ts'
import type { Message } from './rebuilt/messages.ts'
import { boundIn, compared, difference, isPartOf, leftOut, messagesIn, sentIn } from './rebuilt/messages.ts'
import { FAILING, Operations, ROWS_MAX, SQL } from './rebuilt/operations.ts'

const COUNT = times({ small: 300, full: 10_000 })
const PER_CONNECTION = 500
const names = Object.keys(DRIVERS)

describe(`a recording has all that its client received (seed ${seed})`, () => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway
  let tap: Tap
  const types = new Map<string, number>()
  const codes = new Map<string, number>()
  const formats = new Set<number>()
  const parameterFormats = new Set<number>()
  /** What the client was told that is no command's result. */
  let outside = 0

  beforeAll(async () => {
    server = await startTestServer(18)
    later(() => server.stop('immediate'))
    await makeJourneyDatabase(server)
    const client = await server.client(JOURNEY_DATABASE)
    await client.query(`SET ROLE ${JOURNEY_ROLE}`)
    await client.query(SQL)
    await client.end()
    gateway = await startGateway({
      config: `listen:
  postgres: { port: 0 }
identities:
  local:
    - { name: tester, kind: service, groups: [testers] }
labels:
  pii.email: { mask: { kind: partial, of: email } }
  pii.token: { mask: hash }
connections:
  everything:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: ${JOURNEY_ROLE}, password: "\${env:${UPSTREAM_PASSWORD}}", sslmode: disable }
    databases: [${JOURNEY_DATABASE}]
    labels: { public.people.email: pii.email, public.people.token: pii.token }
    limit: { rows: ${ROWS_MAX}, bytes: 4MiB }
    resultBytesKept: 8MiB
rules:
  - name: testers read and write
    who: { groups: [testers] }
    on: [everything]
    permit: { run: [read, write], unreviewed: [read, write], store: all }
`,
      env: { [UPSTREAM_PASSWORD]: JOURNEY_PASSWORD },
    })
    later(() => gateway.stop())
    tap = await startTap(gateway.ports['postgres'] ?? 0)
    later(() => tap.stop())
  }, 120_000)

  test.each(names)(
    '%s',
    async (name) => {
      const driver = DRIVERS[name] ?? expect.unreachable()
      const operations = new Operations(randomFrom(seed + 7919 * (1 + names.indexOf(name))))
      const dsn = through(tap, await gateway.dsn('everything', 'tester'))
      for (let left = Math.ceil(COUNT / names.length); left > 0; left -= PER_CONNECTION) {
        const many = Math.min(left, PER_CONNECTION)
        // The first few are of each kind, and everything that fails or is empty, whatever the dice say.
        const asked = Array.from({ length: many }, (_, i) =>
          operations.make(driver.kinds[i] ?? operations.pick(driver.kinds)),
        )
        if (tap.conversations.length < names.length)
          for (const [i, sql] of [...FAILING, ''].entries())
            asked[asked.length - 1 - i] = driver.kinds.includes('query')
              ? { kind: 'query', sql, parameters: [], binary: i % 2 === 0 }
              : { kind: 'simple', sql }
        const before = tap.conversations.length
        await driver.run(dsn, asked)
        const conversations = tap.conversations.slice(before)
        expect(conversations, `${name} took one connection`).toHaveLength(1)
        const [conversation] = conversations
        const received = messagesIn(Buffer.concat(conversation?.toClient ?? []))
        const { recorded, given } = await recordedOf(conversation?.address() ?? '')
        const bound = boundIn(sentIn(Buffer.concat(conversation?.fromClient ?? [])))
        for (const { formats } of bound) for (const format of formats) parameterFormats.add(format)
        const sent = bound
          .filter(({ values }) => values.length > 0)
          .map(({ values }) => JSON.stringify(values))
        const missing = leftOut(sent, given)
        expect(missing, 'parameters are recorded as they were sent, byte for byte').toBeDefined()
        // What could not be prepared is no command, and what stood behind it in its group is none either.
        const errors = received.filter(({ type }) => type === 'E').length
        expect(missing?.length ?? 0).toBeLessThanOrEqual(errors)
        tally('parameters', given.length)
        expect(isPartOf(recorded, received), 'nothing is recorded that was not received').toBe(true)
        const kept = compared(recorded)
        expect(difference(compared(received), kept)).toBeUndefined()
        count(kept)
        tally('operations', many)
        tally('messages', kept.length)
        tally(
          'bytes',
          kept.reduce((sum, { bytes }) => sum + bytes.length, 0),
        )
      }
      expect(gateway.stderr()).toBe('')
    },
    600_000,
  )

  test('among it was everything that there is to receive', () => {
    expect(outside).toBeGreaterThan(0)
    expect([...types.keys()].toSorted().join('')).toBe('CDEGHINcds')
    for (const code of ['42601', '42703', '22012', '23505', '23502', '22P02', 'SL001', 'SL005'])
      expect([...codes.keys()], code).toContain(code)
    expect(formats).toEqual(new Set([0, 1]))
    expect(parameterFormats).toEqual(new Set([0, 1]))
  })

  test('a byte more, less, or another is a difference', () => {
    const message = (text: string): Message => ({ type: 'D', bytes: Buffer.from(text) })
    const all = [message('one'), message('two')]
    expect(difference(all, all)).toBeUndefined()
    for (const other of [[message('one')], [...all, message('three')], [message('one'), message('twp')]]) {
      expect(difference(all, other)).toBeDefined()
      expect(difference(other, all)).toBeDefined()
    }
    expect(leftOut(['a', 'b', 'c'], ['a', 'c'])).toEqual(['b'])
    for (const other of [
      ['b', 'a'],
      ['a', 'd'],
      ['a', 'a'],
    ])
      expect(leftOut(['a', 'b', 'c'], other)).toBeUndefined()
    expect(isPartOf([message('two')], all)).toBe(true)
    expect(isPartOf([message('two'), message('one')], all)).toBe(false)
  })

  /**
   * The result of each command whole, its figures right, and all of them one behind the other; and the parameters that were
   * given to each.
   */
  async function recordedOf(
    clientAddress: string,
  ): Promise<{ readonly recorded: Message[]; readonly given: string[] }> {
    const listed = await gateway.cli(['sessions', 'ls', '--limit', '20', '--json'])
    const { sessions }: { sessions: { session: string; clientAddress: string }[] } = JSON.parse(listed.stdout)
    const session = sessions.find((each) => each.clientAddress === clientAddress)?.session
    expect(session, `no session from ${clientAddress}`).toBeDefined()
    const results = new Map<number, Buffer[]>()
    const all: Buffer[] = []
    const given: string[] = []
    const opener = new FieldOpener(gateway.recordingKeys)
    const id = brand<SessionId>(session ?? '')
    for await (const read of readSession(gateway.dataDirectory, gateway.recordingKeys, id)) {
      const entry = opener.shown(read.entry, () => true)
      if (entry.kind === 'intent' && entry.head.parameters !== undefined)
        given.push(JSON.stringify(entry.head.parameters))
      if ((entry.kind !== 'result' && entry.kind !== 'outcome') || entry.body === undefined) continue
      const body = Buffer.from(entry.body)
      all.push(body)
      const { n } = entry.head
      if (n === OUTSIDE_COMMANDS) outside += messagesIn(body).length
      results.set(n, [...(results.get(n) ?? []), body])
      if (entry.kind !== 'outcome') continue
      const messages = messagesIn(Buffer.concat(results.get(n) ?? []))
      const rows = messages.filter(({ type }) => type === 'D').length
      expect(entry.head).toMatchObject({
        unkept: 0,
        // A masked row of COPY may be cut into several messages.
        rows: messages.some(({ type }) => type === 'd') ? expect.any(Number) : rows,
        bytes: messages.reduce((sum, { bytes }) => sum + bytes.length, 0),
      })
    }
    return { recorded: messagesIn(Buffer.concat(all)), given }
  }

  function count(messages: readonly Message[]): void {
    for (const { type, bytes } of messages) {
      types.set(type, (types.get(type) ?? 0) + 1)
      if (type === 'H') formats.add(bytes.readUInt8(5))
      const code = type === 'E' ? /\0C([0-9A-Z]{5})\0/.exec(bytes.toString('latin1'))?.[1] : undefined
      if (code !== undefined) codes.set(code, (codes.get(code) ?? 0) + 1)
    }
  }
})
