/**
 * The state machine of approvals, played on real gateways that are killed: one on its own store, two on one PostgreSQL.
 * Clients ask, go away, cancel and ask again; people approve and refuse, two at once at times; rules change.
 */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import type { ApiClient } from '../../src/api/client.ts'
import { isGatewayError } from '../../src/core/index.ts'
import { FakePostgres } from '../../src/testing/fake-postgres.ts'
import { done } from '../../src/testing/fake-postgres-answers.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import { logIn } from '../support/login.ts'
import { mintDsn } from '../support/mint.ts'
import { startTestServer } from '../support/postgres.ts'
import { randomFrom, seed, tally, times } from '../support/proof.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import { Ledger } from './model/ledger.ts'

const AGENTS = ['ant', 'bee'] as const
const PEOPLE = ['ada', 'eve'] as const
const COMMANDS = 6
const PATIENCE_MS = 2_000
/** What comes after a client's patience on a machine that others use too. */
const GRACE_MS = 30_000
/** Bytes of a client that has gone may still be on their way. */
const GONE_MS = 1_000
const TICKET = /T-[0-9A-Z]{8}/

describe.each([
  ['its own store', 1],
  ['one PostgreSQL store', 2],
] as const)('gateways on %s, killed at random', (name, count) => {
  const later = teardown()

  test('P-05: never run twice, never unapproved, never for a client that has gone, never stuck, never lost', async () => {
    const steps = times({ small: 60, full: 2_000 })
    const game = await Game.start(count, later)
    // On a machine that others use too, people approve what nobody waits for any more: then it goes on until it was worth it.
    let step = 0
    for (; step < steps || (game.ledger.ran <= steps / 20 && step < steps * 10); step++) {
      // However few steps: once a gateway is killed in the middle of it.
      await game.step(step === steps >> 1)
      expect(game.ledger.wrong, `step ${step}, seed ${seed}`).toEqual([])
    }
    await game.finish()
    expect(game.ledger.check(), `seed ${seed}`).toEqual([])
    tally(`${name}: steps`, step)
    tally(`${name}: kills`, game.kills)
    tally(`${name}: tickets`, game.tickets.size)
    tally(`${name}: commands run`, game.ledger.ran)
    // The game was worth it.
    expect(game.ledger.ran).toBeGreaterThan(steps / 20)
    expect(game.kills).toBeGreaterThan(0)
  }, 3_600_000)
})

type Seat = { gateway: TestGateway; restarting: Promise<void> | undefined; logins: Map<string, ApiClient> }

type Waiting = {
  readonly seat: Seat
  readonly client: Client
  readonly command: string
  readonly ended: Promise<void>
  ticket: string | undefined
  gone: boolean
}

class Game {
  readonly ledger = new Ledger()
  /** Every ticket that a client was told, with its command. */
  readonly tickets = new Map<string, string>()
  kills = 0
  readonly #random = randomFrom(seed)
  readonly #upstream: number
  readonly #seats: readonly Seat[]
  readonly #dsns: ReadonlyMap<string, string>
  readonly #waiting = new Set<Waiting>()
  readonly #approved: string[] = []
  readonly #answering = new Set<Promise<void>>()
  readonly #stuck: string[] = []
  #rules = 0

  private constructor(
    fake: FakePostgres,
    upstream: number,
    seats: readonly Seat[],
    dsns: ReadonlyMap<string, string>,
  ) {
    this.#upstream = upstream
    this.#seats = seats
    this.#dsns = dsns
    fake.script((sql) => {
      if (!sql.startsWith('update ')) return undefined
      this.ledger.run(sql)
      return [done('UPDATE 1')]
    })
  }

  static async start(count: number, later: ReturnType<typeof teardown>): Promise<Game> {
    const fake = new FakePostgres({ auth: 'trust', keep: false })
    const upstream = await fake.listen()
    later(() => upstream.close())
    let store: string | undefined
    if (count > 1) {
      const server = await startTestServer(15)
      later(() => server.stop('immediate'))
      await server.sql('create database state')
      store = `${server.dsn({ database: 'state' })}?sslmode=disable`
    }
    const env = {
      SLUICE_KEY: randomBytes(32).toString('base64'),
      ...(store === undefined ? {} : { SLUICE_STORE: store }),
    }
    const seats: Seat[] = []
    for (let n = 0; n < count; n++) {
      const gateway = await startGateway({ config: configOf(upstream.port, store !== undefined, 0), env })
      const seat: Seat = { gateway, restarting: undefined, logins: new Map() }
      later(async () => {
        await seat.restarting
        for (const login of seat.logins.values()) await login.close()
        await seat.gateway.stop()
      })
      seats.push(seat)
    }
    const [first] = seats
    if (first === undefined) throw new Error('no gateway')
    const dsns = new Map<string, string>()
    for (const agent of AGENTS) dsns.set(agent, await mintDsn(first.gateway, 'ledger', agent))
    const game = new Game(fake, upstream.port, seats, dsns)
    for (const seat of seats) for (const person of PEOPLE) await game.#login(seat, person)
    return game
  }

  async step(fatal: boolean): Promise<void> {
    const seat = this.#one(this.#seats.filter(({ restarting }) => restarting === undefined))
    const chance = this.#random()
    if (seat === undefined) for (const { restarting } of this.#seats) await restarting
    else if (fatal) this.#kill(seat)
    else if (chance < 0.4) await this.#ask(seat)
    else if (chance < 0.48) this.#leave()
    else if (chance < 0.54) this.#cancel()
    else if (chance < 0.82) this.#answer(seat, this.#one(PEOPLE) ?? 'ada')
    else if (chance < 0.92) this.#duel()
    else if (chance < 0.95) await this.#changeRules(seat)
    else if (chance < 0.965) this.#kill(seat)
    await sleep(this.#random() * 100)
  }

  /** Everything comes to rest, and what should be there is there. */
  async finish(): Promise<void> {
    for (const { restarting } of this.#seats) await restarting
    await Promise.all(this.#answering)
    const deadline = Date.now() + PATIENCE_MS + GRACE_MS
    while (this.#waiting.size > 0 && Date.now() < deadline) await sleep(50)
    for (const { command } of this.#waiting) this.ledger.wrong.push(`a client still waits for ${command}`)
    this.ledger.wrong.push(...this.#stuck)
    for (const seat of this.#seats) {
      const person = await this.#login(seat, 'ada')
      for (const ticket of this.tickets.keys()) {
        const found = await person.call('GET', `/v1/approvals/${ticket}`).catch((error: unknown) => error)
        const answers: unknown = Reflect.get(Object(found), 'answers')
        if (!Array.isArray(answers)) this.ledger.wrong.push(`${ticket} is lost: ${String(found)}`)
        else if (this.#approved.includes(ticket) && answers.length === 0) {
          this.ledger.wrong.push(`the answer to ${ticket} is lost`)
        }
      }
    }
    // And every gateway still does what it is there for.
    for (const seat of this.#seats) {
      const before = this.ledger.ran
      const command = `update ledger set at = ${this.#seats.indexOf(seat)} where agent = 'ant' and last`
      const asked = this.#send(seat, 'ant', command)
      const ticket = await eventually(
        'a ticket',
        () => [...this.tickets].find(([, text]) => text === command)?.[0],
      )
      await this.#approve(seat, 'ada', ticket, command)
      await asked
      if (this.ledger.ran !== before + 1) this.ledger.wrong.push(`${command} did not run at the end`)
    }
  }

  async #ask(seat: Seat): Promise<void> {
    const agent = this.#one(AGENTS) ?? 'ant'
    const n = Math.floor(this.#random() * COMMANDS)
    // Not more than people would bear.
    if (this.#waiting.size < 20)
      void this.#send(seat, agent, `update ledger set at = ${n} where agent = '${agent}'`)
    await Promise.resolve()
  }

  async #send(seat: Seat, agent: string, command: string): Promise<void> {
    const url = new URL(this.#dsns.get(agent) ?? '')
    url.port = String(seat.gateway.ports.postgres)
    const client = new Client({ connectionString: url.toString(), ssl: false })
    client.on('error', () => undefined)
    const account = this.ledger.of(command)
    account.waiting++
    const began = Date.now()
    const ended = (async () => {
      try {
        await client.connect()
        await client.query(command)
        account.told++
      } catch {
        // Refused, expired, cancelled, or the gateway was killed: all of that is part of the game.
      }
    })()
    const waiting: Waiting = { seat, client, command, ended, ticket: undefined, gone: false }
    client.on('notice', ({ message = '' }) => {
      const ticket = TICKET.exec(message)?.[0]
      if (ticket === undefined) return
      waiting.ticket = ticket
      this.tickets.set(ticket, command)
    })
    this.#waiting.add(waiting)
    await ended
    this.#waiting.delete(waiting)
    if (Date.now() - began > PATIENCE_MS + GRACE_MS)
      this.#stuck.push(`${command} took ${Date.now() - began} ms`)
    if (!waiting.gone) this.#over(waiting)
    await client.end().catch(() => undefined)
  }

  #over(waiting: Waiting): void {
    const account = this.ledger.of(waiting.command)
    account.waiting--
    account.somebodyUntil = Date.now() + GONE_MS
    waiting.gone = true
  }

  #leave(): void {
    const waiting = this.#one([...this.#waiting])
    if (waiting === undefined || waiting.gone) return
    this.#over(waiting)
    destroySocket(waiting.client)
  }

  #cancel(): void {
    const waiting = this.#one([...this.#waiting])
    const [id, key] = ['processID', 'secretKey'].map((name) =>
      Number(Reflect.get(Object(waiting?.client), name)),
    )
    if (waiting === undefined || !Number.isInteger(id) || !Number.isInteger(key)) return
    // CancelRequest: protocol-message-formats.html.
    const request = Buffer.alloc(16)
    for (const [at, value] of [16, 80_877_102, id ?? 0, key ?? 0].entries())
      request.writeInt32BE(value, at * 4)
    const socket = connect(waiting.seat.gateway.ports.postgres ?? 0, '127.0.0.1', () => socket.end(request))
    socket.on('error', () => undefined)
  }

  #answer(seat: Seat, person: string): void {
    const [ticket, command] = this.#ticket()
    if (ticket === undefined || command === undefined) return
    this.#track(
      this.#random() < 0.85
        ? this.#approve(seat, person, ticket, command)
        : this.#refuse(seat, person, ticket),
    )
  }

  #duel(): void {
    const [ticket, command] = this.#ticket()
    if (ticket === undefined || command === undefined) return
    for (const [at, person] of PEOPLE.entries()) {
      const seat = this.#seats[at % this.#seats.length]
      if (seat?.restarting === undefined && seat !== undefined)
        this.#track(this.#approve(seat, person, ticket, command))
    }
  }

  /** Mostly one that somebody waits for, else any of the last. */
  #ticket(): readonly [string, string] | readonly [] {
    const waiting = this.#one([...this.#waiting])
    if (waiting?.ticket !== undefined && this.#random() < 0.7) return [waiting.ticket, waiting.command]
    return this.#one([...this.tickets].slice(-12)) ?? []
  }

  #track(work: Promise<void>): void {
    this.#answering.add(work)
    void work.finally(() => this.#answering.delete(work))
  }

  /** Counts as approved before it is sent: it may run before the answer is back, and the answer may never come. */
  async #approve(seat: Seat, person: string, ticket: string, command: string): Promise<void> {
    const account = this.ledger.of(command)
    account.approved++
    try {
      const login = await this.#login(seat, person)
      await login.call('POST', `/v1/approvals/${ticket}/answer`, { verdict: 'approve' })
      this.#approved.push(ticket)
    } catch (error) {
      // A refusal of the gateway's own is certain; anything else may have counted.
      const certain =
        isGatewayError(error) && error.code !== 'upstream_unreachable' && error.code !== 'internal'
      if (certain) account.approved--
      if (!certain || error.code === 'unauthenticated') seat.logins.delete(person)
    }
  }

  async #refuse(seat: Seat, person: string, ticket: string): Promise<void> {
    try {
      const login = await this.#login(seat, person)
      await login.call('POST', `/v1/approvals/${ticket}/answer`, {
        verdict: 'refuse',
        reason: 'part of the game',
      })
    } catch {
      seat.logins.delete(person)
    }
  }

  async #login(seat: Seat, person: string): Promise<ApiClient> {
    const known = seat.logins.get(person)
    if (known !== undefined) return known
    const made = await logIn(seat.gateway.dataDirectory, person)
    seat.logins.set(person, made)
    return made
  }

  async #changeRules(seat: Seat): Promise<void> {
    const { configFile } = seat.gateway
    const text = configOf(this.#upstream, this.#seats.length > 1, ++this.#rules)
    await writeFile(configFile, text)
    await seat.gateway.cli(['config', 'apply', configFile])
  }

  #kill(seat: Seat): void {
    this.kills++
    for (const login of seat.logins.values()) void login.close()
    seat.logins.clear()
    seat.restarting = seat.gateway.crashAndRestart().then((gateway) => {
      seat.gateway = gateway
      seat.restarting = undefined
    })
  }

  #one<T>(of: readonly T[]): T | undefined {
    return of[Math.floor(this.#random() * of.length)]
  }
}

/** As a killed client does it: no Terminate, no cancel. */
function destroySocket(client: Client): void {
  const stream: unknown = Reflect.get(Object(Reflect.get(client, 'connection')), 'stream')
  const destroy: unknown = Reflect.get(Object(stream), 'destroy')
  if (typeof destroy !== 'function') throw new Error('node-postgres has no socket to destroy')
  destroy.call(stream)
}

function configOf(upstream: number, shared: boolean, rules: number): string {
  return `listen:
  postgres: { port: 0 }
  api: { port: 0 }
${shared ? `store: { dsn: "\${env:SLUICE_STORE}" }\n` : ''}identities:
  local:
${AGENTS.map((name) => `    - { name: ${name}, kind: agent }`).join('\n')}
${PEOPLE.map((name) => `    - { name: ${name}, kind: person, roles: [approver] }`).join('\n')}
connections:
  ledger:
    protocol: postgres
    upstream: { host: 127.0.0.1, port: ${upstream}, user: ledger, sslmode: disable }
    databases: [ledger]
    patience: ${PATIENCE_MS / 1000}s
rules:
  - { name: the rules of version ${rules}, who: everyone, on: all, permit: { run: all, unreviewed: [read], unlimited: true } }
`
}
