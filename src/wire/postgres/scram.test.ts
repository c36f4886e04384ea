import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import { createScramVerifier, mockScramVerifier } from '../../core/scram-verifier.ts'
import { Secret } from '../../core/secret.ts'
import { md5Password } from './md5.ts'
import { saslPrep } from './saslprep.ts'
import type { ScramClientOptions } from './scram-client.ts'
import { saltPassword, ScramClient } from './scram-client.ts'
import { checkProof, prove, SCRAM, SCRAM_PLUS } from './scram-common.ts'
import { ScramServer } from './scram-server.ts'

const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const VERIFIER = createScramVerifier('pencil', 4096, SALT)
const HASH = Buffer.alloc(32, 0xab)
const BOTH = [SCRAM_PLUS, SCRAM]

function client(options: Partial<ScramClientOptions> = {}): ScramClient {
  return new ScramClient({
    password: new Secret('pencil'),
    mechanisms: [SCRAM],
    endPointHash: undefined,
    random: randomBytes,
    ...options,
  })
}

async function login(from: ScramClient, to: ScramServer): Promise<void> {
  const answer = to.begin(from.mechanism, from.first())
  from.verify(to.finish(await from.final(answer)))
}

function code(wanted: string): unknown {
  return expect.objectContaining({ name: 'GatewayError', code: wanted })
}

test('the exchange of RFC 7677 section 3', async () => {
  const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
  const authMessage = [
    'n=user,r=rOprNGfwEbeRWgbNEkqO',
    `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`,
    `c=biws,r=${nonce}`,
  ].join(',')
  const { proof, serverSignature } = prove(await saltPassword('pencil', SALT, 4096), authMessage)
  expect(proof.toString('base64')).toBe('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=')
  expect(serverSignature.toString('base64')).toBe('6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
  expect(checkProof(VERIFIER, authMessage, proof)).toEqual(serverSignature)
  expect(checkProof(VERIFIER, `${authMessage} `, proof)).toBeUndefined()
})

describe('client and server', () => {
  test('agree without TLS', () => login(client(), new ScramServer(VERIFIER, undefined, randomBytes)))

  test('agree with the channel bound', async () => {
    const from = client({ mechanisms: BOTH, endPointHash: HASH })
    expect(from.mechanism).toBe(SCRAM_PLUS)
    await login(from, new ScramServer(VERIFIER, HASH, randomBytes))
  })

  test('agree over TLS when the client cannot bind, and when the server cannot', async () => {
    await login(client({ mechanisms: BOTH }), new ScramServer(VERIFIER, HASH, randomBytes))
    const from = client({ endPointHash: HASH })
    expect(from.first().toString()).toMatch(/^y,,/)
    await login(from, new ScramServer(VERIFIER, undefined, randomBytes))
  })

  test('refuse another channel: somebody in the middle has TLS with both', async () => {
    const from = client({ mechanisms: BOTH, endPointHash: Buffer.alloc(32, 1) })
    await expect(login(from, new ScramServer(VERIFIER, HASH, randomBytes))).rejects.toEqual(
      code('unauthenticated'),
    )
  })

  test('refuse a downgrade: the offer of binding was removed on its way', async () => {
    const from = client({ mechanisms: [SCRAM], endPointHash: HASH })
    await expect(login(from, new ScramServer(VERIFIER, HASH, randomBytes))).rejects.toEqual(
      code('unauthenticated'),
    )
  })

  test('refuse a wrong password, and any for an unknown name', async () => {
    const wrong = client({ password: new Secret('pencils') })
    const known = new ScramServer(VERIFIER, undefined, randomBytes)
    await expect(login(wrong, known)).rejects.toEqual(code('unauthenticated'))
    const unknown = new ScramServer(
      mockScramVerifier('c_nobody', Buffer.alloc(32, 9)),
      undefined,
      randomBytes,
    )
    await expect(login(client(), unknown)).rejects.toEqual(code('unauthenticated'))
  })

  test('a refusal does not tell an unknown name from a wrong password', async () => {
    const told = async (server: ScramServer, password: string): Promise<unknown> => {
      const from = client({ password: new Secret(password) })
      const challenge = server.begin(from.mechanism, from.first()).toString()
      const error: unknown = await from.final(Buffer.from(challenge)).then((each) => {
        try {
          return server.finish(each)
        } catch (caught) {
          return caught
        }
      })
      expect(error).toMatchObject({ code: 'unauthenticated' })
      return [challenge.replace(/r=[^,]*,s=[^,]{24}/, ''), (error as Error).message]
    }
    const unknown = new ScramServer(
      mockScramVerifier('c_nobody', Buffer.alloc(32, 9)),
      undefined,
      randomBytes,
    )
    expect(await told(unknown, 'pencil')).toEqual(
      await told(new ScramServer(VERIFIER, undefined, randomBytes), 'wrong'),
    )
  })
})

describe('the server', () => {
  const server = (hash?: Buffer): ScramServer => new ScramServer(VERIFIER, hash, randomBytes)

  test('offers binding first, and only where it has a hash', () => {
    expect(server(HASH).mechanisms).toEqual(BOTH)
    expect(server().mechanisms).toEqual([SCRAM])
  })

  test('understands names, extensions it may ignore, and node-postgres', async () => {
    expect(server().begin(SCRAM, Buffer.from('n,,n=us=2Cer,r=abc,x=ignored')).toString()).toMatch(
      /^r=abc.{24},s=/,
    )
    const sasl = createRequire(import.meta.url)('pg/lib/crypto/sasl.js')
    const to = server()
    const session = sasl.startSession(to.mechanisms)
    const challenge = to.begin(session.mechanism, Buffer.from(session.response))
    await sasl.continueSession(session, 'pencil', challenge.toString())
    sasl.finalizeSession(session, to.finish(Buffer.from(session.response)).toString())
  })

  test.each([
    ['another mechanism', 'SCRAM-SHA-1', 'n,,n=,r=abc'],
    ['binding that was not offered', SCRAM_PLUS, 'p=tls-server-end-point,,n=,r=abc'],
    ['binding announced for the plain mechanism', SCRAM, 'p=tls-server-end-point,,n=,r=abc'],
    ['an unknown flag', SCRAM, 'x,,n=,r=abc'],
    ['an authorisation identity', SCRAM, 'n,a=admin,n=,r=abc'],
    ['a mandatory extension', SCRAM, 'n,,m=x,n=,r=abc'],
    ['no nonce', SCRAM, 'n,,n='],
    ['an empty nonce', SCRAM, 'n,,n=,r='],
    ['a nonce that is not printable', SCRAM, 'n,,n=,r=a b'],
    ['nothing', SCRAM, ''],
    ['a zero byte', SCRAM, 'n,,n=,r=abc\0'],
    ['what is not text', SCRAM, Buffer.from([0x6e, 0x2c, 0x2c, 0xff])],
  ])('refuses %s', (_name, mechanism, first) => {
    expect(() => server().begin(mechanism, Buffer.from(first))).toThrow(code('protocol_violation'))
  })

  test('refuses another kind of binding', () => {
    const first = Buffer.from('p=tls-unique,,n=,r=abc')
    expect(() => server(HASH).begin(SCRAM_PLUS, first)).toThrow(code('protocol_violation'))
  })

  const PROOF = Buffer.alloc(32).toString('base64')
  test.each<[string, (nonce: string) => string]>([
    ['no proof', (nonce) => `c=biws,r=${nonce}`],
    ['a short proof', (nonce) => `c=biws,r=${nonce},p=${Buffer.alloc(31).toString('base64')}`],
    ['a long proof', (nonce) => `c=biws,r=${nonce},p=${Buffer.alloc(33).toString('base64')}`],
    ['a proof that is not base64', (nonce) => `c=biws,r=${nonce},p=${PROOF.slice(1)}!`],
    ['another nonce', (nonce) => `c=biws,r=${nonce}x,p=${PROOF}`],
    ['only the client nonce', () => `c=biws,r=abc,p=${PROOF}`],
    ['something behind the proof', (nonce) => `c=biws,r=${nonce},p=${PROOF},x=1`],
    ['nothing', () => ''],
  ])('refuses %s at the end', (_name, final) => {
    const to = server()
    const nonce = /r=([^,]*)/.exec(to.begin(SCRAM, Buffer.from('n,,n=,r=abc')).toString())![1]!
    expect(() => to.finish(Buffer.from(final(nonce)))).toThrow(code('protocol_violation'))
    expect(() => to.finish(Buffer.from(final(nonce)))).toThrow('finishes once')
  })

  test('refuses a header other than the one the exchange began with', async () => {
    const to = server()
    const nonce = /r=([^,]*)/.exec(to.begin(SCRAM, Buffer.from('n,,n=,r=abc')).toString())![1]!
    const final = `c=${Buffer.from('y,,').toString('base64')},r=${nonce},p=${PROOF}`
    expect(() => to.finish(Buffer.from(final))).toThrow(code('unauthenticated'))
  })

  test('ignores extensions before the proof, which still covers them', async () => {
    const to = server()
    const first = 'n=,r=abc'
    const challenge = to.begin(SCRAM, Buffer.from(`n,,${first}`)).toString()
    const final = `c=biws,r=${/r=([^,]*)/.exec(challenge)![1]!},x=1,y=2`
    const { proof } = prove(await saltPassword('pencil', SALT, 4096), `${first},${challenge},${final}`)
    expect(to.finish(Buffer.from(`${final},p=${proof.toString('base64')}`)).toString()).toMatch(/^v=/)
  })
})

describe('the client', () => {
  /** A challenge that continues the client's nonce. */
  const challenge = (from: ScramClient, rest: string): Buffer => {
    const nonce = /r=([^,]*)/.exec(from.first().toString())![1]!
    return Buffer.from(rest.replaceAll('$', nonce))
  }

  test.each<[string, string, string]>([
    ['a nonce that is not continued', 'r=$,s=AAAA,i=4096', 'protocol_violation'],
    ['a nonce of another exchange', 'r=abcdef,s=AAAA,i=4096', 'protocol_violation'],
    ['no salt', 'r=$x,s=,i=4096', 'protocol_violation'],
    ['a salt that is not base64', 'r=$x,s=A-A_,i=4096', 'protocol_violation'],
    ['no rounds', 'r=$x,s=AAAA,i=0', 'protocol_violation'],
    ['negative rounds', 'r=$x,s=AAAA,i=-1', 'protocol_violation'],
    ['too many rounds', 'r=$x,s=AAAA,i=600001', 'limit_exceeded'],
    ['rounds beyond any number', 'r=$x,s=AAAA,i=99999999999999999999', 'protocol_violation'],
    ['a mandatory extension', 'm=1,r=$x,s=AAAA,i=4096', 'protocol_violation'],
    ['something at the end', 'r=$x,s=AAAA,i=4096,x=1', 'protocol_violation'],
    ['nothing', '', 'protocol_violation'],
  ])('refuses %s', async (_name, rest, wanted) => {
    const from = client()
    await expect(from.final(challenge(from, rest))).rejects.toEqual(code(wanted))
  })

  test.each<[string, string, string]>([
    ['a wrong signature', `v=${Buffer.alloc(32).toString('base64')}`, 'upstream_unreachable'],
    ['a short signature', 'v=AAAA', 'upstream_unreachable'],
    ['an error', 'e=invalid-proof', 'upstream_unreachable'],
    ['something else', 'x=AAAA', 'protocol_violation'],
    ['nothing', '', 'protocol_violation'],
  ])('refuses %s as the server’s proof', async (_name, last, wanted) => {
    const from = client()
    await from.final(challenge(from, 'r=$x,s=AAAA,i=1'))
    expect(() => from.verify(Buffer.from(last))).toThrow(code(wanted))
  })

  test('needs binding when told so, and a mechanism it knows', () => {
    expect(() => client({ mechanisms: BOTH, bindingRequired: true })).toThrow(code('upstream_unreachable'))
    expect(() => client({ endPointHash: HASH, bindingRequired: true })).toThrow(code('upstream_unreachable'))
    expect(() => client({ mechanisms: ['SCRAM-SHA-1', 'OAUTHBEARER'] })).toThrow(code('upstream_unreachable'))
  })

  test('asks the derivation it was given, with the prepared password', async () => {
    const asked: unknown[] = []
    const from = client({
      password: new Secret('pass\u00a0word'),
      saltPassword: async (...all) => {
        asked.push(all)
        return Buffer.alloc(32)
      },
    })
    await from.final(challenge(from, 'r=$x,s=AAAA,i=7'))
    expect(asked).toEqual([['pass word', Buffer.alloc(3), 7]])
  })
})

test.each([
  ['ASCII is taken as it is, control characters included', 'a b\x01\x7f', 'a b\x01\x7f'],
  ['spaces become a space', 'I\u3000X', 'I X'],
  ['what is invisible goes', 'I\u00adX\ufeff', 'IX'],
  ['compatible characters are normalised', '\u2168', 'IX'],
  ['composed', 'e\u0301', '\u00e9'],
  ['ordinal', '\u00aa', 'a'],
  ['private use is prohibited, so all stays raw', '\u2168\ue000', '\u2168\ue000'],
  ['a control character beside others too', '\u2168\x07', '\u2168\x07'],
  ['nothing left is prohibited', '\u00ad', '\u00ad'],
])('SASLprep: %s', (_name, password, prepared) => {
  expect(saslPrep(password)).toBe(prepared)
})

test('md5 as PostgreSQL asks for it', () => {
  // 'md5' || md5(md5('lovelace' || 'ada') || '\x01020304'), computed by other means.
  expect(md5Password('ada', new Secret('lovelace'), Buffer.from([1, 2, 3, 4]))).toBe(
    'md53dc6aced3147251a8d6cb4ab889c0f43',
  )
})
