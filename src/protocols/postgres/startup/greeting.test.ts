import { afterEach, describe as group, expect, it } from 'vitest'
import { OUTSIDE_COMMANDS } from '../../../core/index.ts'
import { FakeNetwork } from '../../../testing/fake-network.ts'
import { done } from '../../../testing/fake-postgres-answers.ts'
import { turns } from '../../../testing/pipe-pair.ts'
import type { StageOptions } from '../../../testing/postgres-stage.ts'
import {
  answerUsual,
  errorOf,
  PostgresStage,
  query,
  script,
  StageClient,
} from '../../../testing/postgres-stage.ts'
import { until } from '../../../testing/world.ts'
import {
  encodeCancelRequest,
  encodeGssEncryptionRequest,
  encodeSslRequest,
  encodeStartup,
} from '../../../wire/postgres/index.ts'

const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

async function open(options: StageOptions = {}): Promise<PostgresStage> {
  const stage = await PostgresStage.open(options)
  answerUsual(stage.server)
  stages.push(stage)
  return stage
}

/** Sends raw bytes on a pipe of its own; what came back when the gateway hung up, or went quiet. */
async function raw(
  stage: PostgresStage,
  ...pieces: readonly Uint8Array[]
): Promise<{ bytes: Buffer; ended: boolean }> {
  const pipe = stage.dial()
  const chunks: Buffer[] = []
  let ended = false
  pipe.onData = (bytes) => chunks.push(Buffer.from(bytes))
  pipe.onEnd = pipe.onClose = () => {
    ended = true
  }
  for (const piece of pieces) {
    pipe.write(piece)
    await turns()
  }
  await turns(50)
  pipe.end()
  return { bytes: Buffer.concat(chunks), ended }
}

const STARTUP: readonly (readonly [string, string])[] = [
  ['user', 'c_0123456789abcdef'],
  ['database', 'crm'],
]

function startup(...more: (readonly [string, string])[]): Buffer {
  return encodeStartup(new Map([...STARTUP, ...more]), 0)
}

group('before there is a session', () => {
  it('answers a request for TLS, and for GSSAPI with N, one after the other', async () => {
    const stage = await open()
    expect((await raw(stage, encodeGssEncryptionRequest())).bytes.toString()).toBe('N')
    expect((await raw(stage, encodeSslRequest())).bytes.toString()).toBe('S')
    expect((await raw(stage, encodeGssEncryptionRequest(), encodeSslRequest())).bytes.toString()).toBe('NS')
  })

  it('answers a request for TLS with N where the listener has no certificate', async () => {
    const stage = await open({ tls: false })
    expect((await raw(stage, encodeSslRequest())).bytes.toString()).toBe('N')
  })

  it('believes nothing that came in clear behind a request for TLS', async () => {
    const stage = await open()
    const { bytes, ended } = await raw(stage, Buffer.concat([encodeSslRequest(), startup()]))
    expect(ended).toBe(true)
    expect(bytes.toString('latin1')).toContain('08P01')
    expect(bytes.toString('latin1')).not.toContain('SCRAM')
  })

  it('is asked for encryption only so often', async () => {
    const stage = await open()
    const asked = Array.from({ length: 5 }, () => encodeGssEncryptionRequest())
    const { bytes, ended } = await raw(stage, ...asked)
    expect(ended).toBe(true)
    expect(bytes.toString('latin1')).toContain('over and over')
  })

  it.each([
    ['replication', startup(['replication', 'database']), '0A000'],
    ['an empty database', startup(['database', '']), '3D000'],
    ['an empty user', startup(['user', '']), ''],
    ['no user', encodeStartup(new Map([['database', 'crm']]), 0), ''],
    ['protocol 2', Buffer.concat([Buffer.from([0, 0, 0, 8, 0, 2, 0, 0])]), ''],
    ['protocol 4', Buffer.concat([Buffer.from([0, 0, 0, 8, 0, 4, 0, 0])]), ''],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n'), ''],
    ['an impossible length', Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0]), ''],
    ['a length of nothing', Buffer.from([0, 0, 0, 0, 0, 3, 0, 0]), ''],
    ['plain words off loopback', startup(), '28000'],
  ])('refuses %s, and reaches no upstream (P-03)', async (_name, bytes, code) => {
    const stage = await open()
    const answer = await raw(stage, bytes)
    expect(answer.ended).toBe(true)
    expect(answer.bytes.toString('latin1')).toContain(`SFATAL\0`)
    expect(answer.bytes.toString('latin1')).toContain(code)
    expect(stage.forwarded).toEqual([])
    expect(stage.world.journal.entries).toEqual([])
    expect(stage.world.reports).toEqual([])
  })

  it('speaks direct TLS with ALPN, and nothing else inside it', async () => {
    const stage = await open()
    const pipe = stage.dial()
    const client = new StageClient(pipe)
    pipe.write(Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]))
    await new FakeNetwork().secureClient(pipe, {
      verify: 'none',
      servername: 'gateway',
      alpn: ['postgresql'],
    })
    expect(pipe.tls?.alpn).toBe('postgresql')
    pipe.write(encodeSslRequest())
    await until('it is refused', () => client.heard.length > 0)
    expect(errorOf(client.heard).code).toBe('08P01')
  })

  it('takes no direct TLS where the listener has no certificate', async () => {
    const stage = await open({ tls: false })
    const { ended } = await raw(stage, Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]))
    expect(ended).toBe(true)
    expect(stage.forwarded).toEqual([])
  })
})

group('a login', () => {
  it('that is wrong is told the same, whether the credential exists or not', async () => {
    const stage = await open()
    const wrong = await stage.client({ secret: 'wrong' })
    const unknown = await stage.client({ user: 'c_zzzzzzzzzzzzzzzz' })
    expect(script(wrong.heard)).toEqual(script(unknown.heard))
    expect(errorOf(wrong.heard).code).toBe('28000')
    expect(stage.forwarded).toEqual([])
  })

  it('begins the recording before the upstream is reached (P-04)', async () => {
    const stage = await open({ labelled: false })
    await stage.client()
    const { tape } = stage.world.journal
    expect(tape[0]).toMatchObject({ kind: 'written', entry: { kind: 'open' } })
    expect(tape[1]).toMatchObject({ kind: 'upstream' })
  })

  it('shows what the server is called there, and the name of the client as the client gave it', async () => {
    const stage = await open({ labelled: false })
    const client = await stage.client({ parameters: { application_name: 'my tool' } })
    const [session] = stage.world.gateway.sessions()
    expect(stage.server.startups.at(-1)?.parameters.get('application_name')).toBe(
      `my tool sluice:${session?.id}`,
    )
    expect(script(client.heard)).toContain('parameter application_name=my tool')
    stage.server.answer(
      /^SET application_name/,
      {
        kind: 'send',
        messages: [{ kind: 'parameterStatus', name: 'application_name', value: 'other' }],
      },
      done('SET'),
    )
    expect(script(await client.query("SET application_name = 'other'"))).toContain(
      'parameter application_name=other',
    )
    stage.server.answer(
      /^RESET application_name/,
      {
        kind: 'send',
        messages: [
          { kind: 'parameterStatus', name: 'application_name', value: `my tool sluice:${session?.id}` },
          { kind: 'parameterStatus', name: 'TimeZone', value: 'CET' },
        ],
      },
      done('RESET'),
    )
    const heard = script(await client.query('RESET application_name'))
    expect(heard).toContain('parameter application_name=my tool')
    expect(heard).toContain('parameter TimeZone=CET')
  })

  it.each([
    ['client_encoding', 'SJIS'],
    ['standard_conforming_strings', 'off'],
    ['role', 'evil'],
    ['options', '-c search_path=evil'],
    ['session_replication_role', 'replica'],
  ])('with the setting %s=%s is refused where there are labels (P-03)', async (name, value) => {
    const stage = await open()
    const client = await stage.client({ parameters: { [name]: value } })
    expect(errorOf(client.heard).code).toBe('SL001')
    expect(
      stage.server.startups.filter(
        (each) => each.parameters.has(name) && each.parameters.get(name) === value,
      ),
    ).toEqual([])
    await until('the end is recorded', () => stage.world.entries('close').length === 1)
    expect(toldIn(stage)).toEqual([expect.stringMatching(/FATAL.*SL001/s)])
  })

  it("passes on the server's own refusal", async () => {
    const stage = await open({ labelled: false, server: { auth: 'scram', password: 'another one' } })
    const client = await stage.client()
    expect(errorOf(client.heard)).toMatchObject({ severity: 'FATAL' })
    expect(client.ended).toBe(true)
    await until('the end is recorded', () => stage.world.entries('close').length === 1)
    expect(stage.world.entries('close')[0]?.head.reason).toBe('refused by upstream')
    // What the client was told stands in its recording, in front of the end.
    expect(toldIn(stage)).toEqual([expect.stringContaining(String(errorOf(client.heard).message))])
    expect(stage.world.journal.entries.map(({ kind }) => kind).slice(-2)).toEqual(['result', 'close'])
  })

  it('whose credential is revoked while the upstream is being reached, runs nothing', async () => {
    const stage = await open()
    const minted = await stage.world.mint('database', 'crm')
    const client = new StageClient(stage.dial(1))
    const login = client.logIn(minted)
    await until('the session is open', () => stage.world.gateway.sessions().length === 1)
    client.write(query('SELECT 1'))
    await stage.world.credentials.revoke(minted.credential.id, 'test')
    await login
    await until('the end is recorded', () => stage.world.entries('close').length === 1)
    await turns(100)
    expect(stage.ran()).toEqual([])
    expect(client.ended).toBe(true)
    expect(errorOf(client.heard).code).toBe('28000')
    expect(stage.world.journal.entries.at(-1)?.kind).toBe('close')
  })
})

group('a cancel request', () => {
  const slow = { kind: 'wait', until: new Promise(() => undefined) } as const

  async function cancel(stage: PostgresStage, processId: number, key: Uint8Array): Promise<void> {
    await raw(stage, encodeCancelRequest(processId, key))
  }

  it("with the client's own key cancels what the server runs", async () => {
    const stage = await open()
    stage.server.answer('SELECT 9', slow)
    const client = await stage.client()
    const { processId, key } = client.key ?? { processId: 0, key: Buffer.alloc(4) }
    const from = client.heard.length
    client.write(query('SELECT 9'))
    await until('the server has it', () => stage.ran().length === 1)
    await cancel(stage, processId, Buffer.alloc(4))
    await cancel(stage, processId + 1, key)
    await turns(50)
    expect(stage.server.cancels).toEqual([])
    await cancel(stage, processId, key)
    expect(script(await client.hear(from))).toEqual([
      'error 57014 canceling statement due to user request',
      'ready idle',
    ])
    expect(stage.server.cancels).toMatchObject([{ matched: true }])
    expect(stage.server.cancels[0]?.processId).not.toBe(processId)
  })

  it('gives up a command that is held; it never runs (P-05)', async () => {
    const stage = await open()
    const client = await stage.client()
    const { processId, key } = client.key ?? { processId: 0, key: Buffer.alloc(4) }
    const from = client.heard.length
    client.write(query("UPDATE orders SET state = 'sent'"))
    await until('it is held', () => stage.world.waiting().length === 1)
    await cancel(stage, processId, key)
    const heard = await client.hear(from)
    expect(errorOf(heard)).toMatchObject({ code: '57014', severity: 'ERROR' })
    const [ticket] = stage.world.waiting()
    if (ticket === undefined) throw new Error('the ticket stays open')
    await stage.world.answer(ticket, 'approve')
    await turns(50)
    expect(stage.ran()).toEqual([])
    expect(stage.server.cancels).toEqual([])
    expect(script(await client.query('SELECT 1'))).toContain('row 1')
  })

  it('after the session has ended cancels nothing', async () => {
    const stage = await open()
    const client = await stage.client()
    const { processId, key } = client.key ?? { processId: 0, key: Buffer.alloc(4) }
    client.leave()
    await until('the session has ended', () => client.ended)
    await cancel(stage, processId, key)
    await turns(50)
    expect(stage.server.cancels).toEqual([])
  })
})

group('a server', () => {
  it('that says farewell in its own words is heard, and the session ends', async () => {
    const stage = await open()
    const client = await stage.client()
    const from = client.heard.length
    stage.server.tell({
      kind: 'errorResponse',
      fields: {
        severity: 'FATAL',
        code: '57P01',
        message: 'terminating connection due to administrator command',
      },
    })
    await turns()
    stage.server.crash()
    await until('the client is let go', () => client.ended)
    expect(script(client.heard.slice(from))).toEqual([
      'error 57P01 terminating connection due to administrator command',
    ])
    await until('the end is recorded', () => stage.world.entries('close').length === 1)
    expect(stage.world.entries('close')[0]?.head.reason).toBe('upstream closed')
  })

  it('that fails at start-up is quoted', async () => {
    const stage = await open({ labelled: false, server: { auth: 'trust', tlsRequired: true } })
    const client = await stage.client()
    expect(errorOf(client.heard)).toMatchObject({ code: '28000', message: 'no encryption' })
  })

  it('that speaks out of turn ends the session', async () => {
    const stage = await open()
    const client = await stage.client()
    stage.server.tell({ kind: 'copyBothResponse', format: 0, columnFormats: [] })
    await until('the session ends', () => client.ended)
    expect(stage.world.reports).toHaveLength(1)
    expect(stage.world.entries('close')[0]?.head.reason).toBe('internal')
  })
})

/** What clients were told outside of commands, as it was recorded. */
function toldIn(stage: PostgresStage): string[] {
  const told = stage.world.entries('result').filter(({ head }) => head.n === OUTSIDE_COMMANDS)
  return told.map(({ body }) => Buffer.from(body).toString())
}
