import { describe, expect, it } from 'vitest'
import { meaningOfHeaders, requestHeaders, responseHeaders, unconditional } from './index.ts'

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

  it.each([
    'X_HTTP_Method_Override',
    'X-HTTP_Method.Override',
    'Transfer_Encoding',
    'Content_Length',
    'X_Forwarded_For',
    'X-Forwarded-User',
    'X-Forwarded-Prefix',
    'X-Auth-Request-Email',
    'X-Remote-User',
    'Remote_User',
    'X-Original-URI',
    'X-HTTP-Path-Override',
    'Proxy',
  ])(
    'stay here, however their name is written, where they say who, where or what else: %s (C-02)',
    (name) => {
      expect(requestHeaders([name, 'x', 'api_version', '2'])).toEqual(['api_version', '2'])
      expect(requestHeaders(['Connection', 'Api-Version', name, 'x', 'api_version', '2'])).toEqual([])
    },
  )

  it('may be had without conditions, which tell a value that is masked (C-07)', () => {
    const raw = ['If-None-Match', '"1"', 'If_Match', '"2"', 'If-Modified-Since', 'x', 'Accept', '*/*']
    expect(unconditional(raw)).toEqual(['Accept', '*/*'])
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

  it('say nothing that is for the gateway to say', () => {
    expect(responseHeaders(['Sluice-Masked', '0', 'A', 'b'], false)).toEqual(['A', 'b'])
  })

  it('are of no use where the body is packed on its way, as nobody could look into it (C-09)', () => {
    expect(() => responseHeaders(['Transfer-Encoding', 'gzip, chunked'], false)).toThrow(/packed on its way/)
    expect(responseHeaders(['Transfer-Encoding', 'Chunked'], false)).toEqual([])
  })
})
