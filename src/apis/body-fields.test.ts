import { describe, expect, it } from 'vitest'
import { LIMITS } from '../core/index.ts'
import { fieldsOfBody } from './body-fields.ts'
import { classOfEffect, EFFECTS, gravest, guessedEffect, guessedMutation } from './effects.ts'
import { isPageSizeName, pageSizeOf } from './page-size.ts'
import { readStrictJson } from './strict-json.ts'

describe('the fields of a body', () => {
  it('are names and short values of JSON', () => {
    expect(
      fieldsOfBody(
        'json',
        Buffer.from('{"role":"admin","items":[{"id":1},{"id":null}],"long":"' + 'x'.repeat(300) + '"}'),
      ),
    ).toEqual({
      isRead: true,
      names: ['items', 'items[].id', 'long', 'role'],
      values: ['items[].id=1', 'items[].id=null', 'role=admin'],
    })
  })

  it('are names and values of a form, each as often as it stands there', () => {
    expect(fieldsOfBody('form', Buffer.from('role=user&role=admin&a%5Bb%5D=c+d'))).toEqual({
      isRead: true,
      names: ['a[b]', 'role'],
      values: ['a[b]=c d', 'role=admin', 'role=user'],
    })
  })

  it.each([
    ['no JSON', 'json', '{"a":1'],
    ['a name twice', 'json', '{"role":"user","r\\u006fle":"admin"}'],
    ['too deep', 'json', '['.repeat(LIMITS.jsonDepthMax + 1) + ']'.repeat(LIMITS.jsonDepthMax + 1)],
    ['too many', 'form', Array.from({ length: LIMITS.bodyFieldsMax + 1 }, (_, n) => `a${n}=b`).join('&')],
    ['a name that is too long', 'json', `{"${'n'.repeat(LIMITS.bodyFieldNameCharsMax + 1)}":1}`],
    ['names that are too long together', 'json', `${`{"${'n'.repeat(300)}":`.repeat(4)}1}}}}`],
    ['something else', 'other', 'anything'],
  ] as const)('are not told of %s', (_what, form, body) => {
    expect(fieldsOfBody(form, Buffer.from(body))).toEqual({ isRead: false, names: [], values: [] })
  })

  it('of a body whose names are long cost no more than that body (C-04)', () => {
    const inner = Object.fromEntries(Array.from({ length: LIMITS.bodyFieldsMax - 2 }, (_, n) => [`k${n}`, n]))
    const body = Buffer.from(JSON.stringify({ ['n'.repeat(900_000)]: inner }))
    const started = performance.now()
    expect(fieldsOfBody('json', body).isRead).toBe(false)
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  it('are none of nothing, and not told of what is not UTF-8', () => {
    expect(fieldsOfBody('other', new Uint8Array(0)).isRead).toBe(true)
    expect(fieldsOfBody('json', Buffer.from([0x22, 0xff, 0x22])).isRead).toBe(false)
  })
})

describe('JSON that everybody reads alike', () => {
  it('takes the same name in two objects, and in a value', () => {
    const text = '{"a":{"a":["a","a",{"a":1}]},"b":"a\\"b","c":"a"}'
    expect(readStrictJson(text)).toEqual({ ok: true, value: JSON.parse(text) })
  })
})

describe('effects', () => {
  it.each([
    ['GET', '/customers', 'read'],
    ['GET', '/customers/export', 'export'],
    ['DELETE', '/customers/{id}', 'destructive'],
    ['POST', '/customers/{key}/deactivate', 'write'],
    ['POST', '/orders/{id}/cancel', 'destructive'],
    ['POST', '/users/{id}/accessTokens', 'creates-a-credential'],
    ['PUT', '/docs/{id}/permissions', 'changes-visibility'],
    ['POST', '/invoices/{id}/send', 'sends-outward'],
  ])('are guessed: %s %s is %s', (method, path, effect) => {
    expect(guessedEffect(method, path)).toBe(effect)
  })

  it('of mutations are guessed by their names', () => {
    expect(guessedMutation('createApiKey')).toBe('creates-a-credential')
    expect(guessedMutation('createSSHKey')).toBe('creates-a-credential')
    expect(guessedMutation('rotateJWTSecret')).toBe('creates-a-credential')
    expect(guessedMutation('updateKeyword')).toBe('write')
    expect(guessedMutation('deleteToken')).toBe('destructive')
  })

  it('have a class, and one of several weighs most', () => {
    expect(EFFECTS.map(classOfEffect)).toEqual([
      'read',
      'read',
      'write',
      'write',
      'write',
      'administer',
      'administer',
    ])
    expect(gravest(['read', 'destructive', 'write'])).toBe('destructive')
    expect(gravest([])).toBe('read')
  })
})

describe('page sizes', () => {
  it('have the names that APIs give them', () => {
    expect(['per_page', 'page[size]', '$top', 'maxResults', 'first'].every(isPageSizeName)).toBe(true)
    expect(['page', 'offset', 'email'].some(isPageSizeName)).toBe(false)
    expect(pageSizeOf({ name: 'limit', default: 20 }, undefined)).toBe(20)
    expect(pageSizeOf({ name: 'limit', default: 20 }, '500')).toBe(500)
    expect(pageSizeOf({ name: 'limit', default: 20 }, 'all')).toBeUndefined()
  })
})
