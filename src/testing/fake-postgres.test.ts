import { Client } from 'pg'
import postgres from 'postgres'
import { afterEach, describe, expect, test } from 'vitest'
import { createCertificates } from '../net/index.ts'
import type { ClientMessage, FrameSink, ServerMessage } from '../wire/postgres/index.ts'
import {
  decodeServer,
  encodeCancelRequest,
  encodeClient,
  encodeStartup,
  Framer,
} from '../wire/postgres/index.ts'
import { column, done, fails, OID, rows } from './fake-postgres-answers.ts'
import type { FakePostgresOptions } from './fake-postgres-server.ts'
import { FakePostgres } from './fake-postgres.ts'
import { pipePair, turns } from './pipe-pair.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

/** A client that speaks in messages over a pipe in memory. */
class Talk implements FrameSink {
  readonly heard: ServerMessage[] = []
  readonly #framer = new Framer({ bodyBytesMax: 1 << 24, wholeBytesMax: 1 << 24 })
  readonly #pipe
  ended = false

  constructor(server: FakePostgres, chunkBytes = 65536) {
    const [client, upstream] = pipePair({ chunkBytes })
    this.#pipe = client
    client.onData = (bytes) => void this.#framer.push(bytes, this)
    client.onEnd = () => {
      this.ended = true
      client.end()
    }
    server.serve(upstream)
  }
  header(): 'whole' {
    return 'whole'
  }
  whole(type: number, buffer: Buffer, start: number, end: number): void {
    this.heard.push(decodeServer(type, Buffer.from(buffer.subarray(start, end))))
  }
  piece(): void {}
  pass(): void {}

  async begin(...parameters: [string, string][]): Promise<void> {
    await this.raw(encodeStartup([['user', 'ada'], ...parameters]))
  }
  async say(...messages: ClientMessage[]): Promise<ServerMessage[]> {
    this.heard.length = 0
    await this.raw(encodeClient(...messages))
    return this.heard
  }
  async raw(bytes: Buffer): Promise<void> {
    this.#pipe.write(bytes)
    await turns(bytes.length * 2 + 20)
  }
  close(): void {
    this.#pipe.end()
  }
}

const query = (sql: string): ClientMessage => ({ kind: 'query', sql: Buffer.from(sql) })
const parse = (sql: string, statement = ''): ClientMessage => ({
  kind: 'parse',
  statement,
  sql: Buffer.from(sql),
  parameterTypes: [],
})
const bind = (...values: string[]): ClientMessage => ({
  kind: 'bind',
  portal: '',
  statement: '',
  parameterFormats: [],
  values: values.map((each) => Buffer.from(each)),
  resultFormats: [],
})
const execute = (rowsMax = 0): ClientMessage => ({ kind: 'execute', portal: '', rowsMax })
const sync: ClientMessage = { kind: 'sync' }

function kinds(messages: readonly ServerMessage[]): string[] {
  return messages.map((each) => each.kind)
}

describe('over a pipe in memory', () => {
  test('greets, answers, counts and says goodbye', async () => {
    const server = new FakePostgres().answer('SELECT name FROM pets', rows(['name'], [['Tom'], [null]]))
    const talk = new Talk(server)
    await talk.begin(['application_name', 'test'])
    expect(talk.heard[0]).toEqual({ kind: 'authenticationOk' })
    expect(talk.heard).toContainEqual({ kind: 'parameterStatus', name: 'application_name', value: 'test' })
    expect(talk.heard.at(-1)).toEqual({ kind: 'readyForQuery', status: 'idle' })
    expect(await talk.say(query('SELECT name FROM pets'))).toEqual([
      { kind: 'rowDescription', fields: [column('name')] },
      { kind: 'dataRow', cells: [Buffer.from('Tom')] },
      { kind: 'dataRow', cells: [null] },
      { kind: 'commandComplete', tag: 'SELECT 2' },
      { kind: 'readyForQuery', status: 'idle' },
    ])
    await talk.say({ kind: 'terminate' })
    expect(talk.ended).toBe(true)
    expect(server.sessions).toBe(0)
    expect(server.count()).toBe(2)
    expect(server.count('query')).toBe(1)
    expect(server.ran).toEqual([{ session: 1, sql: 'SELECT name FROM pets', values: [] }])
    expect(server.startups.map((each) => each.user)).toEqual(['ada'])
  })

  test('understands a client that sends one byte at a time', async () => {
    const talk = new Talk(new FakePostgres(), 1)
    await talk.begin()
    await turns(600)
    expect(kinds(await talk.say(query('SELECT 1')))).toContain('dataRow')
  })

  test('follows transactions', async () => {
    const server = new FakePostgres().answer('BAD', fails('22012', 'division by zero'))
    const talk = new Talk(server)
    await talk.begin()
    const status = async (sql: string): Promise<unknown> => {
      const heard = await talk.say(query(sql))
      return [heard[0]?.kind === 'commandComplete' ? heard[0].tag : heard[0]?.kind, heard.at(-1)]
    }
    expect(await status('BEGIN')).toEqual(['BEGIN', { kind: 'readyForQuery', status: 'transaction' }])
    expect(await status('BAD')).toEqual(['errorResponse', { kind: 'readyForQuery', status: 'failed' }])
    expect(await status('SELECT 1')).toEqual(['errorResponse', { kind: 'readyForQuery', status: 'failed' }])
    expect(await status('ROLLBACK TO a')).toEqual([
      'ROLLBACK',
      { kind: 'readyForQuery', status: 'transaction' },
    ])
    await status('BAD')
    expect(await status('COMMIT')).toEqual(['ROLLBACK', { kind: 'readyForQuery', status: 'idle' }])
  })

  test('speaks the extended protocol with suspension', async () => {
    const server = new FakePostgres().answer('SELECT n WHERE $1', rows(['n'], [['1'], ['2'], ['3']]))
    const talk = new Talk(server)
    await talk.begin()
    const heard = await talk.say(
      parse('SELECT n WHERE $1'),
      { kind: 'describe', what: 'statement', name: '' },
      bind('x'),
      { kind: 'describe', what: 'portal', name: '' },
      execute(2),
      execute(2),
      sync,
    )
    expect(kinds(heard)).toEqual([
      'parseComplete',
      'parameterDescription',
      'rowDescription',
      'bindComplete',
      'rowDescription',
      'dataRow',
      'dataRow',
      'portalSuspended',
      'dataRow',
      'commandComplete',
      'readyForQuery',
    ])
    expect(server.ran.map((each) => each.values)).toEqual([[Buffer.from('x')], [Buffer.from('x')]])
  })

  test('answers nothing before Sync or Flush, and skips to Sync after an error', async () => {
    const server = new FakePostgres()
    const talk = new Talk(server)
    await talk.begin()
    expect(await talk.say(parse('SELECT 1'))).toEqual([])
    expect(kinds(await talk.say({ kind: 'flush' }))).toEqual(['parseComplete'])
    expect(kinds(await talk.say({ kind: 'describe', what: 'portal', name: 'no' }, execute()))).toEqual([
      'errorResponse',
    ])
    expect(kinds(await talk.say(parse('SELECT 2'), sync))).toEqual(['readyForQuery'])
    expect(server.ran).toEqual([])
  })

  test('takes and gives COPY', async () => {
    const server = new FakePostgres()
      .answer('COPY t FROM STDIN', { kind: 'copyIn', columns: 2 })
      .answer('COPY t TO STDOUT', { kind: 'copyOut', columns: 1, chunks: ['a\n', 'b\n'] })
    const talk = new Talk(server)
    await talk.begin()
    expect(kinds(await talk.say(query('COPY t FROM STDIN')))).toEqual(['copyInResponse'])
    const data = Buffer.from('1\t2\n')
    expect(
      await talk.say({ kind: 'copyData', data }, { kind: 'copyData', data }, { kind: 'copyDone' }),
    ).toContainEqual({
      kind: 'commandComplete',
      tag: 'COPY 2',
    })
    await talk.say(query('COPY t FROM STDIN'))
    expect(kinds(await talk.say({ kind: 'copyFail', reason: 'changed my mind' }))).toEqual([
      'errorResponse',
      'readyForQuery',
    ])
    expect(kinds(await talk.say(query('COPY t TO STDOUT')))).toEqual([
      'copyOutResponse',
      'copyData',
      'copyData',
      'copyDone',
      'commandComplete',
      'readyForQuery',
    ])
    expect(server.count('copyData')).toBe(2)
  })

  test('waits when told so, until it is released or canceled', async () => {
    let release = (): void => {}
    const until = new Promise<void>((resolve) => {
      release = resolve
    })
    const server = new FakePostgres()
      .answer('SLOW', { kind: 'wait', until }, done('SLOW'))
      .answer('STUCK', { kind: 'wait', until: new Promise(() => {}) })
    const talk = new Talk(server)
    await talk.begin()
    const key = talk.heard.find((each) => each.kind === 'backendKeyData')!
    expect(await talk.say(query('SLOW'))).toEqual([])
    release()
    await turns()
    expect(kinds(talk.heard)).toEqual(['commandComplete', 'readyForQuery'])
    await talk.say(query('STUCK'))
    await new Talk(server).raw(encodeCancelRequest(key.processId, Buffer.alloc(4)))
    expect(talk.heard).toEqual([])
    await new Talk(server).raw(encodeCancelRequest(key.processId, key.key))
    expect(talk.heard[0]).toMatchObject({ fields: { code: '57014' } })
    expect(server.cancels.map((each) => each.matched)).toEqual([false, true])
  })

  test('sends what nobody asked for, and dies', async () => {
    const server = new FakePostgres().answer('CRASH', { kind: 'crash' })
    const talk = new Talk(server)
    await talk.begin()
    talk.heard.length = 0
    server.tell({ kind: 'notificationResponse', processId: 1, channel: 'c', payload: 'p' })
    await turns()
    expect(kinds(talk.heard)).toEqual(['notificationResponse'])
    await talk.say(query('CRASH'))
    expect(talk.ended).toBe(true)
    expect(server.sessions).toBe(0)
  })

  test('stops reading rows from the script while the reader is slow', async () => {
    let made = 0
    function* endless() {
      for (;;) {
        made++
        yield ['x'.repeat(1000)]
      }
    }
    const server = new FakePostgres().answer('ALL', rows(['x'], endless()))
    const [client, upstream] = pipePair()
    server.serve(upstream)
    client.write(encodeStartup([['user', 'ada']]))
    await turns()
    client.pause()
    client.write(encodeClient(query('ALL')))
    await turns(200)
    expect(made).toBeGreaterThan(50)
    expect(made).toBeLessThan(200)
    client.destroy()
    await turns()
    expect(server.sessions).toBe(0)
  })

  test('refuses what is not the protocol', async () => {
    const talk = new Talk(new FakePostgres())
    await talk.begin()
    await talk.raw(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
    expect(talk.heard.at(-1)).toMatchObject({ fields: { severity: 'FATAL', code: '08P01' } })
    expect(talk.ended).toBe(true)
  })
})

describe('over TCP, with drivers people use', () => {
  async function start(options: FakePostgresOptions): Promise<{ server: FakePostgres; port: number }> {
    const server = new FakePostgres(options)
      .answer('SELECT $1', rows([column('n', { typeOid: OID.int4, typlen: 4 })], [['7']]))
      .answer(/^select id/, rows([column('id', { typeOid: OID.int4, typlen: 4 }), 'name'], [['1', 'Tom']]))
    const { port, close } = await server.listen()
    closers.push(close)
    return { server, port }
  }

  for (const auth of ['trust', 'cleartext', 'md5', 'scram'] as const) {
    test(`node-postgres logs in by ${auth}`, async () => {
      const { server, port } = await start({ auth, password: 'pencil' })
      const client = new Client({ host: '127.0.0.1', port, user: 'ada', password: 'pencil', database: 'd' })
      await client.connect()
      closers.push(() => client.end())
      expect((await client.query('SELECT $1', ['x'])).rows).toEqual([{ n: 7 }])
      expect(server.ran[0]?.values).toEqual([Buffer.from('x')])
      if (auth === 'trust') return
      const wrong = new Client({ host: '127.0.0.1', port, user: 'ada', password: 'pen', database: 'd' })
      await expect(wrong.connect()).rejects.toMatchObject({ severity: 'FATAL' })
    })
  }

  test('node-postgres binds the channel inside TLS', async () => {
    const tls = await createCertificates({ names: ['localhost'], now: Date.now() })
    const { server, port } = await start({ auth: 'scram', password: 'pencil', tls, tlsRequired: true })
    const options = { host: '127.0.0.1', port, user: 'ada', password: 'pencil', database: 'd' }
    const client = new Client({ ...options, ssl: { rejectUnauthorized: false }, enableChannelBinding: true })
    await client.connect()
    closers.push(() => client.end())
    expect((await client.query('SELECT 5')).rows).toEqual([{ '?column?': 5 }])
    const first = server.received.find((each) => each.message.kind === 'password')?.message
    expect(first?.kind === 'password' && Buffer.from(first.body).toString()).toContain(
      'p=tls-server-end-point',
    )
    await expect(new Client(options).connect()).rejects.toMatchObject({ code: '28000' })
  })

  test('postgres.js reads rows', async () => {
    const { port } = await start({ auth: 'scram', password: 'pencil' })
    const sql = postgres({
      host: '127.0.0.1',
      port,
      user: 'ada',
      password: 'pencil',
      database: 'd',
      fetch_types: false,
    })
    closers.push(() => sql.end())
    expect([...(await sql`select id, name from pets`)]).toEqual([{ id: 1, name: 'Tom' }])
  })
})
