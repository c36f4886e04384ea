import { describe, expect, it } from 'vitest'
import { hasQueryKey, MethodWatch, namesMethod, saysAnotherMethod, unescapedQuery } from './index.ts'

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
    ['in JSON, another letter escaped', '', json, '{"_meth\\u006fd":"PUT"}'],
    ['in JSON behind a mark', '', json, '\ufeff{"_method":"PUT"}'],
    ['in JSON of two bytes a letter', '', json, [...'{"_method":"PUT"}'].map((c) => `${c}\0`).join('')],
    ['in JSON of another type', '', 'text/json', '{"_method":"PUT"}'],
    ['in a form whose type PHP reads so', '', `${form}, text/plain`, '_method=PUT'],
    ['in a form with a parameter that is none', '', `${form}; charset`, '_method=PUT'],
    ['in a form without a type', '', '', 'a=1&_method=PUT'],
    ['in parts that Rack reads', '', 'multipart/related; boundary=x', part],
    ['in a part in other quotes', '', 'multipart/form-data; boundary=x', part.replaceAll('"', "'")],
    [
      'in a part by a longer name',
      '',
      'multipart/form-data',
      part.replace('name="', "name*=utf-8''").replace('d"', 'd'),
    ],
    ['in a part, a letter quoted', '', 'multipart/form-data', part.replace('_m', '_\\m')],
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

describe('another method in a body that comes in pieces (C-02)', () => {
  const part = "--x\r\nContent-Disposition: form-data; name='_method'\r\n\r\nDELETE\r\n--x--"
  it.each([
    ['multipart/form-data; boundary=x', part, true],
    ['multipart/form-data; boundary=x', part.replace('_method', 'payment_method'), false],
    ['', `a=${'b'.repeat(300)}&_m%65thod=DELETE`, true],
    ['', 'a=_method&b_method=1&_methods=2', false],
  ])('is seen, or not, whatever the pieces: %s %s', (type, body, isSeen) => {
    expect(namesMethod(type)).toBe('in a part')
    for (const size of [1, 7, 1_000]) {
      const watch = new MethodWatch(type)
      let isFound = false
      for (let at = 0; at < body.length; at += size)
        isFound = watch.finds(Buffer.from(body.slice(at, at + size))) || isFound
      expect(isFound).toBe(isSeen)
    }
  })
})
