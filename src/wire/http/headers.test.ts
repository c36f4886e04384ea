import { describe, expect, it } from 'vitest'
import { meaningOfHeaders, requestHeaders, responseHeaders } from './index.ts'

describe('the fields of a request', () => {
  it('pass without those of one hop, those named by Connection, and those the gateway says itself', () => {
    const raw = [
      'Host',
      'x',
      'Connection',
      'close, X-Hop',
      'X-Hop',
      '1',
      'TE',
      'trailers',
      'Authorization',
      'a',
    ]
    const more = [
      'Cookie',
      'b',
      'Range',
      'bytes=1-2',
      'X-Forwarded-For',
      '::1',
      'Content-Type',
      'a/b',
      'X-Own',
      '2',
    ]
    expect(requestHeaders([...raw, ...more])).toEqual(['Content-Type', 'a/b', 'X-Own', '2'])
  })

  it('mean something, or do not: an approval is bound to those that do (P-05)', () => {
    const plain = meaningOfHeaders(['Content-Type', 'application/json', 'X-Mode', 'soft'])
    expect(
      meaningOfHeaders(['x-mode', 'soft', 'User-Agent', 'curl', 'content-type', 'application/json']),
    ).toBe(plain)
    expect(meaningOfHeaders(['Content-Type', 'application/json', 'X-Mode', 'hard'])).not.toBe(plain)
    expect(meaningOfHeaders(['Content-Type', 'text/plain', 'X-Mode', 'soft'])).not.toBe(plain)
    expect(meaningOfHeaders(['Content-Type', 'application/json'])).not.toBe(plain)
  })
})

describe('the fields of an answer', () => {
  const raw = ['ETag', '"1"', 'Content-Length', '9', 'Set-Cookie', 'a', 'Content-Type', 'a/b', 'Trailer', 'x']
  it('pass without cookies', () => {
    expect(responseHeaders(raw, false)).toEqual(['ETag', '"1"', 'Content-Length', '9', 'Content-Type', 'a/b'])
  })

  it('say nothing of a body that was changed', () => {
    expect(responseHeaders(raw, true)).toEqual(['Content-Type', 'a/b'])
  })
})
