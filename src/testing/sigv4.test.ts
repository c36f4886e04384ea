import { expect, test } from 'vitest'
import { signatureFault } from './sigv4.ts'

// The examples of https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html.
const KEYS = { AKIAIOSFODNN7EXAMPLE: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const NOW = Date.UTC(2013, 4, 24)

const signed = (names: string, signature: string) =>
  `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=${names}, Signature=${signature}`

const headers = {
  host: 'examplebucket.s3.amazonaws.com',
  'x-amz-content-sha256': EMPTY,
  'x-amz-date': '20130524T000000Z',
}
const get = {
  method: 'GET',
  path: '/test.txt',
  headers: {
    ...headers,
    range: 'bytes=0-9',
    authorization: signed(
      'host;range;x-amz-content-sha256;x-amz-date',
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    ),
  },
  body: new Uint8Array(),
  now: NOW,
}
const list = {
  ...get,
  path: '/?max-keys=2&prefix=J',
  headers: {
    ...headers,
    authorization: signed(
      'host;x-amz-content-sha256;x-amz-date',
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    ),
  },
}

test('takes requests as AWS signs them', () => {
  expect(signatureFault(get, KEYS)).toBeUndefined()
  expect(signatureFault(list, KEYS)).toBeUndefined()
  expect(signatureFault({ ...list, path: '/?prefix=J&max-keys=2' }, KEYS)).toBeUndefined()
})

test('and no others', () => {
  const broken = (change: Partial<typeof get>) => signatureFault({ ...get, ...change }, KEYS)
  expect(broken({ method: 'PUT' })).toBe('SignatureDoesNotMatch')
  expect(broken({ path: '/test.txt?acl' })).toBe('SignatureDoesNotMatch')
  expect(broken({ headers: { ...get.headers, range: 'bytes=0-10' } })).toBe('SignatureDoesNotMatch')
  expect(broken({ body: Buffer.from('x') })).toBe('XAmzContentSHA256Mismatch')
  expect(broken({ now: NOW + 16 * 60_000 })).toBe('RequestTimeTooSkewed')
  expect(broken({ now: NOW - 14 * 60_000 })).toBeUndefined()
  // A header of S3 that is not signed could have been added on the way.
  const added = { ...get.headers, 'x-amz-acl': 'public-read' }
  expect(signatureFault({ ...get, headers: added }, KEYS)).toBe('AccessDenied')
  expect(signatureFault({ ...get, headers: { ...get.headers, authorization: '' } }, KEYS)).toBe(
    'AccessDenied',
  )
  expect(signatureFault(get, {})).toBe('InvalidAccessKeyId')
  expect(signatureFault(get, { AKIAIOSFODNN7EXAMPLE: 'another' })).toBe('SignatureDoesNotMatch')
})
