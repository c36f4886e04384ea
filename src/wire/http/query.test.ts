import { describe, expect, it } from 'vitest'
import { hasQueryKey, saysAnotherMethod, unescapedQuery } from './index.ts'

describe('a key of a query', () => {
  it.each([
    'api_key=1',
    'a=1&api_key',
    'api%5Fkey=1',
    '%61PI_KEY=1',
    'a=1;api_key=2',
    'api.key=1',
    'api+key=1',
    'api%20key=1',
    '+api_key=1',
    'api_key[]=1',
    'api_key%5Bx%5D=1',
    'api_key%00x=1',
    'x=%ff&api%5fkey=1',
  ])('is found as any server reads it: %s', (query) => {
    expect(hasQueryKey(query, 'api_key')).toBe(true)
  })

  it.each(['', 'api_keys=1', 'x=api_key', 'my_api_key=1', 'x=1%26api_key=2'])('is not found: %s', (query) => {
    expect(hasQueryKey(query, 'api_key')).toBe(false)
  })

  it('is unescaped as far as it can be', () => {
    expect(unescapedQuery('a+b%zz%C3%A4%ff')).toBe('a b%zzä\ufffd')
  })
})

describe('another method than that of the request (C-02)', () => {
  const form = 'application/x-www-form-urlencoded'
  const json = 'application/json; charset=utf-8'
  const part = '--x\r\nContent-Disposition: form-data; name="_method"\r\n\r\nDELETE\r\n--x--'
  it.each([
    ['in the query', '_method=DELETE', '', ''],
    ['in the query as PHP reads it', '.method=DELETE', '', ''],
    ['in a form', '', form, 'a=1&_method=delete'],
    ['in a form, escaped', '', form, '%5Fmethod=delete'],
    ['in a form of parts', '', 'multipart/form-data; boundary=x', part],
    ['in JSON', '', json, '{"a":1,"_method":"PUT"}'],
    ['in JSON, escaped', '', json, '{"\\u005fmethod":"PUT"}'],
  ])('is seen %s', (_name, query, type, body) => {
    expect(saysAnotherMethod(query, type, Buffer.from(body))).toBe(true)
  })

  it.each([
    ['the word as a value', 'x=_method', form, 'a=_method'],
    ['the word deeper in JSON', '', json, '{"a":{"_method":"PUT"}}'],
    ['a payment method', 'method=card', json, '{"payment_method":"card","method":"x"}'],
    ['what is no JSON', '', json, '{"_method'],
    ['another type', '', 'text/plain', '_method=PUT'],
  ])('is not %s', (_name, query, type, body) => {
    expect(saysAnotherMethod(query, type, Buffer.from(body))).toBe(false)
  })
})
