import { describe as group, expect, it, vi } from 'vitest'
import type { ConformanceClient, Harness, Reply } from '../../../test/conformance/suite.ts'
import { conformance } from '../../../test/conformance/suite.ts'
import { ERROR_CODES } from '../../core/index.ts'
import type { Minted } from '../../identity/index.ts'
import { done, rows } from '../../testing/fake-postgres-answers.ts'
import type { StageClient } from '../../testing/postgres-stage.ts'
import {
  answerUsual,
  bind,
  CANARIES,
  connectionBlock,
  describe,
  execute,
  FIELDS,
  flush,
  parse,
  PostgresStage,
  sync,
  UPSTREAM_PASSWORD,
} from '../../testing/postgres-stage.ts'
import { configurationOf, STRICT_RULES } from '../../testing/world.ts'
import type { ClientMessage, ServerMessage } from '../../wire/postgres/index.ts'
import { SQLSTATES } from './errors.ts'

const READ = 'SELECT id, email, note, secret FROM customers'

const LIFE_MS = 600_000

async function start(): Promise<Harness> {
  const stage = await PostgresStage.open({
    connection: `
  other:
    protocol: postgres
    upstream: { host: db.test, user: role, password: "\${env:PASSWORD}", sslmode: disable }
    databases: [crm]`,
  })
  answerUsual(stage.server)
  const never = new Promise(() => undefined)
  stage.server.answer('SELECT id FROM orders', { kind: 'wait', until: never }, done('SELECT 0'))
  const { id, email, note, secret } = FIELDS
  const row = ['1', CANARIES[0], 'plain one', CANARIES[1]]
  stage.server.answer(`SELECT 1; ${READ}`, rows(['n'], [['1']]), rows([id, email, note, secret], [row]))
  let minted: Minted | undefined
  const { world } = stage
  return {
    world,
    lifeMs: LIFE_MS,
    commands: {
      read: READ,
      denied: 'DROP TABLE customers',
      held: ["UPDATE orders SET state = 'sent'", "UPDATE orders SET state = 'lost'"],
      tooMuch: 'SELECT n FROM numbers',
      slow: 'SELECT id FROM orders',
    },
    maskedPaths: {
      'a simple query': say([{ kind: 'query', sql: Buffer.from(READ) }]),
      'the second statement of a simple query': say([
        { kind: 'query', sql: Buffer.from(`SELECT 1; ${READ}`) },
      ]),
      'an unnamed statement in text': say([parse(READ), bind(), describe('portal'), execute(), sync]),
      'an unnamed statement in binary': say([
        parse(READ),
        bind({ binary: true }),
        describe('portal'),
        execute(),
        sync,
      ]),
      'without a description': say([parse(READ), bind({ binary: true }), execute(), sync]),
      'a named statement in text, run twice': say([
        parse(READ, 's'),
        describe('statement', 's'),
        bind({ statement: 's' }),
        execute(),
        bind({ statement: 's' }),
        execute(),
        sync,
      ]),
      'a named statement in binary': say([
        bind({ statement: 's', binary: true, portal: 'p' }),
        execute('p'),
        sync,
      ]),
      'a portal fetched row by row': say([
        bind({ statement: 's' }),
        execute('', 1),
        execute('', 1),
        execute('', 1),
        flush,
        sync,
      ]),
    },
    canaries: CANARIES,
    clear: 'plain one',
    upstreamSecret: UPSTREAM_PASSWORD,
    async connect(admission = 'good') {
      const connection = admission === 'wrong-connection' ? 'other' : 'crm'
      minted = await world.mint(admission === 'wrong-connection' ? 'http' : 'database', connection, {
        ttlMs: LIFE_MS,
      })
      if (admission === 'revoked') await world.credentials.revoke(minted.credential.id, 'test')
      if (admission === 'expired') world.clock.advance(LIFE_MS + 1)
      const client = await stage.client({
        minted,
        ...(admission === 'unknown' ? { user: 'c_0000000000000000' } : {}),
        ...(admission === 'wrong-place' ? { database: 'payroll' } : {}),
      })
      return clientOf(client)
    },
    async revoke() {
      if (minted !== undefined) await world.credentials.revoke(minted.credential.id, 'test')
    },
    upstreamSaw: () => stage.ran(),
    loseUpstream: () => stage.server.crash(),
    forbidEverything: () => world.adopt(configurationOf(connectionBlock(), STRICT_RULES)),
    permitAgain: () => world.adopt(configurationOf(connectionBlock())),
    close: () => stage.close(),
  }
}

const talking = new WeakMap<ConformanceClient, StageClient>()

function say(messages: readonly ClientMessage[]): (client: ConformanceClient) => Promise<void> {
  return async (client) => {
    await talking.get(client)?.say(messages)
  }
}

function clientOf(client: StageClient): ConformanceClient {
  const conforming: ConformanceClient = {
    async send(command) {
      // A login that failed has been answered already; whoever asks after it gets that answer.
      return replyOf(client.ended ? client.heard : await client.query(command))
    },
    leave: () => client.leave(),
    abort: () => client.pipe.peer.destroy(new Error('read ECONNRESET')),
    received: () => client.received(),
    get ended() {
      return client.ended
    },
  }
  talking.set(conforming, client)
  return conforming
}

function replyOf(messages: readonly ServerMessage[]): Reply {
  const error = messages.find((each) => each.kind === 'errorResponse')
  if (error !== undefined) {
    const { fields } = error
    const code = ERROR_CODES.find((each) => SQLSTATES[each] === fields.code)
    const told = [fields.message, fields.detail, fields.hint].join('\n')
    const [ticket] = /T-\w{8}/.exec(told) ?? []
    return { kind: 'refused', code: code ?? 'internal', told, ...(ticket === undefined ? {} : { ticket }) }
  }
  return messages.at(-1)?.kind === 'readyForQuery' ? { kind: 'result' } : { kind: 'ended' }
}

conformance('PostgreSQL', start)

group('what only PostgreSQL can queue', () => {
  it('lets nothing queued behind a held command reach the server (P-05)', async () => {
    const stage = await PostgresStage.open()
    answerUsual(stage.server)
    const client = await stage.client()
    client.write(
      { kind: 'query', sql: Buffer.from("UPDATE orders SET state = 'sent'") },
      { kind: 'query', sql: Buffer.from(READ) },
      parse('SELECT 1'),
      bind(),
      execute(),
      sync,
    )
    const ticket = await vi.waitUntil(() => stage.world.waiting()[0], { timeout: 5_000 })
    await new Promise((resolve) => setTimeout(resolve, 50))
    // But for what the gateway asks on a session of its own.
    expect(stage.ran()).toEqual([])
    for (const kind of ['parse', 'bind', 'execute', 'sync'] as const) expect(stage.server.count(kind)).toBe(0)
    await stage.world.answer(ticket, 'approve')
    await client.hear(client.heard.length, 3)
    expect(stage.ran()).toEqual(["UPDATE orders SET state = 'sent'", READ, 'SELECT 1'])
    await stage.close()
  })
})
