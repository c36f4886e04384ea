import { randomBytes } from 'node:crypto'
import { chown, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../../../test/support/postgres.ts'
import { MAJORS, startTestServer } from '../../../test/support/postgres.ts'
import type { Pipe } from '../../core/index.ts'
import { Secret } from '../../core/index.ts'
import { createCertificates, network } from '../../net/index.ts'
import type { ClientMessage, ServerMessage } from './index.ts'
import {
  decodeServer,
  encodeCancelRequest,
  encodeClient,
  encodeServer,
  encodeSslRequest,
  encodeStartup,
  Framer,
  HEADER_BYTES,
  saslInitialBody,
  SCRAM,
  SCRAM_PLUS,
  ScramClient,
  StartupReader,
} from './index.ts'

/** A client made of the codec alone. Every message of the server must come out of the encoder as it came in. */
class Raw {
  readonly #pipe: Pipe
  readonly #framer = new Framer({ bodyBytesMax: 1 << 24, wholeBytesMax: 1 << 24 })
  readonly #heard: ServerMessage[] = []
  #wake: () => void = () => {}
  ended = false

  constructor(pipe: Pipe) {
    this.#pipe = pipe
    pipe.onEnd = () => {
      this.ended = true
      this.#wake()
    }
    pipe.onData = (bytes) => {
      this.#framer.push(bytes, {
        header: () => 'whole',
        whole: (type, buffer, start, end) => {
          const frame = Buffer.from(buffer.subarray(start - HEADER_BYTES, end))
          const message = decodeServer(type, frame, HEADER_BYTES)
          expect(encodeServer(message)).toEqual(frame)
          this.#heard.push(message)
        },
        piece: () => {},
        pass: () => {},
      })
      this.#wake()
    }
  }

  raw(bytes: Buffer): void {
    this.#pipe.write(bytes)
  }

  say(...messages: ClientMessage[]): void {
    this.raw(encodeClient(...messages))
  }

  /** The messages up to and including the next of these kinds. */
  async until(...kinds: ServerMessage['kind'][]): Promise<ServerMessage[]> {
    for (;;) {
      const at = this.#heard.findIndex((each) => kinds.includes(each.kind))
      if (at >= 0) return this.#heard.splice(0, at + 1)
      if (this.ended) throw new Error(`the server hung up after ${JSON.stringify(this.#heard)}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async ask(...messages: ClientMessage[]): Promise<ServerMessage[]> {
    this.say(...messages)
    return this.until('readyForQuery')
  }

  end(): void {
    this.say({ kind: 'terminate' })
    this.#pipe.end()
  }
}

const query = (sql: string): ClientMessage => ({ kind: 'query', sql: Buffer.from(sql) })

describe.each(MAJORS)('PostgreSQL %i', (major) => {
  let server: TestServer
  const open: Raw[] = []

  beforeAll(async () => {
    server = await startTestServer(major)
    const owner = await stat(server.dataDirectory)
    const made = await createCertificates({ names: ['localhost'], now: Date.now() })
    for (const [name, text] of [
      ['test.crt', made.certificate],
      ['test.key', made.key.reveal()],
    ] as const) {
      const path = join(server.dataDirectory, name)
      await writeFile(path, text, { mode: 0o600 })
      await chown(path, owner.uid, owner.gid)
      await server.sql(`ALTER SYSTEM SET ssl_${name === 'test.crt' ? 'cert' : 'key'}_file = '${path}'`)
    }
    await server.sql('ALTER SYSTEM SET ssl = on')
    await server.sql('SELECT pg_reload_conf()')
  })
  afterAll(async () => {
    for (const each of open) each.end()
    await server.stop()
  })

  async function dial(): Promise<Pipe> {
    return network.dial({ host: server.host, port: server.port, timeoutMs: 5_000 })
  }

  async function dialTls(): Promise<Pipe> {
    const pipe = await dial()
    const answer = new Promise<string>((resolve) => {
      pipe.onData = (bytes) => resolve(bytes.toString())
    })
    pipe.write(encodeSslRequest())
    expect(await answer).toBe('S')
    return network.secureClient(pipe, { verify: 'none', servername: 'localhost' })
  }

  async function login(
    pipe: Pipe,
    { password = server.password, minor = 0, endPointHash = pipe.tls?.endPointHash } = {},
  ): Promise<{ raw: Raw; scram: ScramClient; greeting: ServerMessage[] }> {
    const raw = new Raw(pipe)
    open.push(raw)
    raw.raw(
      encodeStartup(
        [
          ['user', server.user],
          ['database', 'postgres'],
        ],
        minor,
      ),
    )
    const offered = await raw.until('authenticationSasl')
    const sasl = offered.at(-1)
    if (sasl?.kind !== 'authenticationSasl') throw new Error('no SASL')
    const { mechanisms } = sasl
    const scram = new ScramClient({
      password: new Secret(password),
      mechanisms,
      endPointHash,
      random: randomBytes,
    })
    raw.say({ kind: 'password', body: saslInitialBody(scram.mechanism, scram.first()) })
    const [challenge] = await raw.until('authenticationSaslContinue')
    if (challenge?.kind !== 'authenticationSaslContinue') throw new Error('no challenge')
    raw.say({ kind: 'password', body: await scram.final(challenge.data) })
    const answer = await raw.until('authenticationSaslFinal', 'errorResponse')
    const last = answer.at(-1)
    if (last?.kind === 'errorResponse') throw new Error(last.fields.code)
    if (last?.kind !== 'authenticationSaslFinal') throw new Error('no proof')
    scram.verify(last.data)
    return { raw, scram, greeting: [...offered, ...(await raw.until('readyForQuery'))] }
  }

  test('logs us in by SCRAM, and by SCRAM with the channel bound inside TLS', async () => {
    expect((await login(await dial())).scram.mechanism).toBe(SCRAM)
    const bound = await login(await dialTls())
    expect(bound.scram.mechanism).toBe(SCRAM_PLUS)
    expect(bound.greeting.map((each) => each.kind)).toContain('backendKeyData')
  })

  test('refuses another channel and a wrong password', async () => {
    const pipe = await dialTls()
    await expect(login(pipe, { endPointHash: Buffer.alloc(32) })).rejects.toThrow('28000')
    await expect(login(await dial(), { password: 'wrong' })).rejects.toThrow('28P01')
  })

  test('knows the password by the normal form of what was typed', async () => {
    const { raw } = await login(await dial())
    // As typed into ALTER ROLE: e with a combining accent, a no-break space, a Roman numeral in one character.
    await raw.ask(query("ALTER ROLE postgres PASSWORD E'e\\u0301\\u00a0\\u2168'"))
    try {
      await login(await dial(), { password: '\u00e9 IX' })
      await login(await dial(), { password: 'e\u0301\u00a0\u2168' })
    } finally {
      await raw.ask(query(`ALTER ROLE postgres PASSWORD '${server.password}'`))
    }
  })

  test('says everything it has to say in messages that we write as it does', async () => {
    const { raw } = await login(await dial())
    const kinds = new Set<string>()
    const ask = async (...messages: ClientMessage[]): Promise<ServerMessage[]> => {
      const heard = await raw.ask(...messages)
      for (const each of heard) kinds.add(each.kind)
      return heard
    }
    await ask(
      query(
        'CREATE TABLE pets (id int PRIMARY KEY, name varchar(20), weight numeric(5,2), born timestamptz)',
      ),
    )
    const inserted = await ask(
      query("INSERT INTO pets VALUES (1, 'Tömchen', 4.25, now()), (2, NULL, NULL, NULL)"),
    )
    expect(inserted[0]).toEqual({ kind: 'commandComplete', tag: 'INSERT 0 2' })
    const rows = await ask(query('SELECT *, count(*) OVER () FROM pets ORDER BY id'))
    expect(rows.filter((each) => each.kind === 'dataRow')).toHaveLength(2)
    const [broken] = await ask(query("INSERT INTO pets VALUES (1, 'again')"))
    expect(broken).toMatchObject({
      fields: { severity: 'ERROR', code: '23505', schema: 'public', table: 'pets', constraint: 'pets_pkey' },
    })
    expect((await ask(query('SELECT FROM pets WHERE'))).at(0)).toMatchObject({
      fields: { code: '42601', position: '23' },
    })
    expect(
      (
        await ask(
          query("DO $$BEGIN RAISE NOTICE 'hello %', 1 USING HINT = 'h', DETAIL = 'd'; PERFORM 1/0; END$$"),
        )
      ).map((each) => each.kind),
    ).toEqual(['noticeResponse', 'errorResponse', 'readyForQuery'])
    await ask(query("LISTEN c; NOTIFY c, 'p'"))
    await ask(query(''))
    await ask(query('BEGIN; SELECT 1/0'))
    await ask(query('ROLLBACK'))
    await ask(query("SET application_name = 'x'; COPY pets TO STDOUT (FORMAT binary)"))
    raw.say(query('COPY pets FROM STDIN'))
    for (const each of await raw.until('copyInResponse')) kinds.add(each.kind)
    const copied = await ask(
      { kind: 'copyData', data: Buffer.from('3\tTim\t1\t\\N\n') },
      { kind: 'copyDone' },
    )
    expect(copied[0]).toEqual({ kind: 'commandComplete', tag: 'COPY 1' })
    raw.say(query('COPY pets FROM STDIN'))
    await raw.until('copyInResponse')
    expect((await ask({ kind: 'copyFail', reason: 'enough' }))[0]).toMatchObject({
      fields: { code: '57014' },
    })
    const extended = await ask(
      {
        kind: 'parse',
        statement: 's',
        sql: Buffer.from('SELECT id, $2::text FROM pets WHERE id >= $1'),
        parameterTypes: [23],
      },
      { kind: 'describe', what: 'statement', name: 's' },
      {
        kind: 'bind',
        portal: 'p',
        statement: 's',
        parameterFormats: [1, 0],
        values: [Buffer.from([0, 0, 0, 1]), null],
        resultFormats: [1],
      },
      { kind: 'describe', what: 'portal', name: 'p' },
      { kind: 'execute', portal: 'p', rowsMax: 2 },
      { kind: 'flush' },
      { kind: 'execute', portal: 'p', rowsMax: 0 },
      { kind: 'close', what: 'portal', name: 'p' },
      { kind: 'close', what: 'statement', name: 's' },
      { kind: 'parse', statement: '', sql: Buffer.from('SET TIME ZONE UTC'), parameterTypes: [] },
      { kind: 'describe', what: 'statement', name: '' },
      { kind: 'sync' },
    )
    expect(extended.filter((each) => each.kind === 'dataRow')[0]).toEqual({
      kind: 'dataRow',
      cells: [Buffer.from([0, 0, 0, 1]), null],
    })
    // sum(int4, int4), by the message we refuse to speak: here to see that its answer is understood.
    const call = Buffer.from(
      '000000b1 0001 0001 0002 00000004 00000002 00000004 00000003 0001'.replaceAll(' ', ''),
      'hex',
    )
    expect((await ask({ kind: 'functionCall', body: call }))[0]).toEqual({
      kind: 'functionCallResponse',
      value: Buffer.from([0, 0, 0, 5]),
    })
    expect([...kinds].sort()).toEqual([
      'bindComplete',
      'closeComplete',
      'commandComplete',
      'copyData',
      'copyDone',
      'copyInResponse',
      'copyOutResponse',
      'dataRow',
      'emptyQueryResponse',
      'errorResponse',
      'functionCallResponse',
      'noData',
      'noticeResponse',
      'notificationResponse',
      'parameterDescription',
      'parameterStatus',
      'parseComplete',
      'portalSuspended',
      'readyForQuery',
      'rowDescription',
    ])
  })

  test('negotiates protocol 3.2, and cancels by the key it gave', async () => {
    const { raw, greeting } = await login(await dial(), { minor: 2 })
    const told = greeting.find((each) => each.kind === 'negotiateProtocolVersion')
    expect(told).toEqual(
      major === 15 ? { kind: 'negotiateProtocolVersion', minor: 0, options: [] } : undefined,
    )
    const key = greeting.find((each) => each.kind === 'backendKeyData')
    if (key?.kind !== 'backendKeyData') throw new Error('no key')
    expect(key.key.length).toBe(major === 15 ? 4 : 32)
    raw.say(query("SELECT pg_sleep(60), 'canceled'"))
    const running = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%''canceled''' AND state = 'active'"
    while ((await server.sql(running)).length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    const request = encodeCancelRequest(key.processId, key.key)
    expect(new StartupReader().push(request)?.packet).toMatchObject({
      kind: 'cancelRequest',
      processId: key.processId,
    })
    const canceler = await dial()
    canceler.write(request)
    expect((await raw.until('readyForQuery')).find((each) => each.kind === 'errorResponse')).toMatchObject({
      fields: { code: '57014' },
    })
    canceler.end()
  })
})
