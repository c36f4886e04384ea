import { describe, expect, it } from 'vitest'
import type { SecretRef } from '../core/index.ts'
import { Secret } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { sigv4Credential } from './sigv4.ts'

const KEY: SecretRef = { kind: 'env', name: 'KEY' }
const SESSION: SecretRef = { kind: 'env', name: 'SESSION' }

type Vector = readonly [name: string, method: string, origin: string, target: string, signature: string]

/** AWS's own, aws-sig-v4-test-suite: signed are `host` and `x-amz-date`. https://github.com/awslabs/aws-c-auth, tests/aws-signing-test-suite. */
const SUITE: readonly Vector[] = [
  [
    'get-vanilla',
    'GET',
    'https://example.amazonaws.com',
    '/',
    '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  ],
  [
    'post-vanilla',
    'POST',
    'https://example.amazonaws.com',
    '/',
    '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
  ],
  [
    'get-vanilla-query-order-key-case',
    'GET',
    'https://example.amazonaws.com',
    '/?Param2=value2&Param1=value1',
    'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  ],
  [
    'get-vanilla-utf8-query',
    'GET',
    'https://example.amazonaws.com',
    '/?%E1%88%B4=bar',
    '2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04',
  ],
]

/** https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, the examples without a range or a body. */
const S3: readonly Vector[] = [
  [
    'GET Bucket Lifecycle',
    'GET',
    'https://examplebucket.s3.amazonaws.com',
    '/?lifecycle',
    'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  ],
  [
    'Get Bucket (List Objects)',
    'GET',
    'https://examplebucket.s3.amazonaws.com',
    '/?max-keys=2&prefix=J',
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  ],
]

async function sign(parts: {
  readonly service: string
  readonly id: string
  readonly key: string
  readonly at: string
  readonly vector: Vector
  readonly session?: string
  readonly headers?: readonly string[]
}) {
  const clock = new FakeClock(Date.parse(parts.at))
  const secrets: Readonly<Record<string, string>> = { KEY: parts.key, SESSION: parts.session ?? '' }
  const credential = sigv4Credential(
    {
      clock,
      resolveSecret: (ref) =>
        Promise.resolve(new Secret(ref.kind === 'env' ? (secrets[ref.name] ?? '') : '')),
      forgetSecret: () => undefined,
      report: () => undefined,
    },
    {
      region: 'us-east-1',
      service: parts.service,
      accessKeyId: parts.id,
      secretAccessKey: KEY,
      ...(parts.session === undefined ? {} : { sessionToken: SESSION }),
    },
  )
  const [, method, origin, target] = parts.vector
  const worn = await credential.putOn({
    method,
    origin,
    target,
    headers: parts.headers ?? [],
    body: Buffer.alloc(0),
  })
  const fields: Record<string, string> = {}
  for (let i = 0; i + 1 < worn.headers.length; i += 2)
    fields[worn.headers[i] ?? ''] = worn.headers[i + 1] ?? ''
  return { fields, secrets: worn.secrets, target: worn.target }
}

describe('a signature', () => {
  it.each(SUITE)('is that of the published test suite: %s', async (...vector) => {
    const key = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
    const at = '2015-08-30T12:36:00Z'
    const { fields, secrets, target } = await sign({ service: 'service', id: 'AKIDEXAMPLE', key, at, vector })
    expect(fields['authorization']).toBe(
      `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=${vector[4]}`,
    )
    expect(fields['x-amz-date']).toBe('20150830T123600Z')
    expect(secrets).toEqual([key, vector[4]])
    expect(target).toBe(vector[3])
  })

  it.each(S3)('is that of the documentation of S3: %s', async (...vector) => {
    const key = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
    const at = '2013-05-24T00:00:00Z'
    const { fields } = await sign({ service: 's3', id: 'AKIAIOSFODNN7EXAMPLE', key, at, vector })
    expect(fields['authorization']).toBe(
      `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=${vector[4]}`,
    )
  })

  it('covers the token of a session, which is as secret as the key, and leaves out what others may change', async () => {
    const [vector] = SUITE
    if (vector === undefined) throw new Error('no vector')
    const { fields, secrets } = await sign({
      service: 'service',
      id: 'AKIDEXAMPLE',
      key: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
      at: '2015-08-30T12:36:00Z',
      vector,
      session: 'a-session-token',
      headers: ['Content-Type', 'application/json', 'X-Trace', '1', 'User-Agent', 'x'],
    })
    expect(fields['authorization']).toContain(
      'SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,',
    )
    expect(fields['x-amz-security-token']).toBe('a-session-token')
    expect(secrets).toContain('a-session-token')
  })
})
