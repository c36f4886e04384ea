import { describe, expect, it } from 'vitest'
import { refuseAmbiguousHead } from './index.ts'

const read =
  (raw: readonly string[], version = '1.1') =>
  () =>
    refuseAmbiguousHead(raw, version)

describe('the head of a request that node:http takes', () => {
  it.each([
    ['one host', ['Host', 'api.internal:8443']],
    ['an address', ['Host', '[::1]:80']],
    ['an empty host', ['Host', '']],
    ['chunks', ['Host', 'a', 'Transfer-Encoding', 'Chunked ']],
    ['a length', ['Host', 'a', 'Content-Length', '3']],
  ])('is read in one way with %s', (_name, raw) => {
    expect(read(raw)).not.toThrow()
  })

  it.each([
    ['two hosts', ['Host', 'a', 'host', 'b']],
    ['the same host twice', ['Host', 'a', 'Host', 'a']],
    ['a host with a user', ['Host', 'a@b']],
    ['a host with a path', ['Host', 'a/b']],
    ['two hosts in one', ['Host', 'a, b']],
    ['a coding in front of chunks', ['Host', 'a', 'Transfer-Encoding', 'gzip, chunked']],
    ['two lines of codings', ['Host', 'a', 'Transfer-Encoding', 'gzip', 'Transfer-Encoding', 'chunked']],
    ['chunks twice', ['Host', 'a', 'Transfer-Encoding', 'chunked, chunked']],
    ['chunks in blanks that are none to others', ['Host', 'a', 'Transfer-Encoding', '\xa0chunked\xa0']],
    ['a host in such blanks', ['Host', '\xa0a\x0b']],
    ['chunks with a parameter', ['Host', 'a', 'Transfer-Encoding', 'chunked;q=1']],
  ])('is refused with %s (C-03)', (_name, raw) => {
    expect(read(raw)).toThrow(/plain form/)
  })

  it('is refused with chunks in HTTP/1.0, which has none (C-03)', () => {
    expect(read(['Transfer-Encoding', 'chunked'], '1.0')).toThrow(/no chunks/)
    expect(read([], '1.0')).not.toThrow()
  })
})
