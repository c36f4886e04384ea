import { describe, expect, it } from 'vitest'
import {
  comparePatterns,
  looseParts,
  matchesRoute,
  mayMatchRoute,
  parseRoutePattern,
  parseTarget,
  requestHeaders,
  responseHeaders,
} from './index.ts'

describe('a request target', () => {
  it.each([
    ['/', { path: '/', query: '' }],
    ['/customers', { path: '/customers', query: '' }],
    ['/customers/', { path: '/customers/', query: '' }],
    ['/customers?page=2&of=a%20b', { path: '/customers', query: 'page=2&of=a%20b' }],
    ['/a?b?c', { path: '/a', query: 'b?c' }],
    ['/%63ustomers/%7euser', { path: '/customers/~user', query: '' }],
    ['/a%c3%a4', { path: '/a%C3%A4', query: '' }],
    ['/a;v=1/b,c:@', { path: '/a;v=1/b,c:@', query: '' }],
    ['/...', { path: '/...', query: '' }],
  ])('%s has one normal form', (target, expected) => {
    expect(parseTarget(target)).toEqual(expected)
    expect(parseTarget(parseTarget(target).path).path).toBe(expected.path)
  })

  it.each([
    '',
    'customers',
    'http://elsewhere/customers',
    '*',
    '//customers',
    '/a//b',
    '/./customers',
    '/../customers',
    '/a/..',
    '/a/.',
    '/%2e%2e/customers',
    '/.%2E/customers',
    '/a%2fb',
    '/a%2Fb',
    '/a%5cb',
    '/a\\b',
    '/a%00b',
    '/a%0d%0ab',
    '/a%7fb',
    '/a%25b',
    '/a%zzb',
    '/a%2',
    '/a b',
    '/a\tb',
    '/ä',
    '/a#b',
    '/a?b#c',
    '/a?b\u0000c',
    '/a?%zz',
    // Tomcat and its like take parameters off before they look for dots.
    '/a/..;/b',
    '/a/..;x=1/b',
    '/a/.;/b',
    '/a/%2e%2e;x/b',
    '/a/..%3b/b',
    // Blanks at the end of a name go on some file systems.
    '/a/..%20/b',
    '/a/..%c2%a0;x/b',
    // Overlong forms, and what a compatibility mapping makes dots and slashes.
    '/a/%c0%ae%c0%ae/b',
    '/a%c0%afb',
    '/a%e0%80%afb',
    '/a/%ff',
    '/a%ef%bc%8fb',
    '/a%ef%bc%bcb',
    '/a/%ef%bc%8e%ef%bc%8e/b',
    '/a/%e2%80%a5/b',
    `/${'a'.repeat(17_000)}`,
  ])('%s is refused, because two readers could read it in two ways', (target) => {
    expect(() => parseTarget(target)).toThrow(/request target/)
  })

  it('made of any characters has a form that stays the same, or is refused', () => {
    const alphabet = [
      '/',
      '.',
      '%',
      '2',
      'e',
      'f',
      'F',
      '5',
      'c',
      'a',
      '\\',
      '?',
      '#',
      ' ',
      ':',
      '@',
      '0',
      ';',
    ]
    let state = 7
    const next = (end: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return Math.floor((state / 4_294_967_296) * end)
    }
    let accepted = 0
    for (let i = 0; i < 20_000; i++) {
      const target = `/${Array.from({ length: next(12) }, () => alphabet[next(alphabet.length)]).join('')}`
      let path: string
      try {
        path = parseTarget(target).path
      } catch {
        continue
      }
      accepted++
      expect(parseTarget(path).path).toBe(path)
      expect(new URL(`http://h${path}`).pathname).toBe(path)
      expect(path).not.toMatch(/%2f|%5c|%2e/i)
    }
    expect(accepted).toBeGreaterThan(1_000)
  })
})

describe('a route', () => {
  const fits = (pattern: string, path: string): boolean => {
    const parsed = parseRoutePattern(pattern)
    return parsed !== undefined && matchesRoute(parsed, path)
  }

  it.each([
    ['/customers', '/customers', true],
    ['/customers', '/customers/', false],
    ['/customers', '/Customers', false],
    ['/customers', '/customers/1', false],
    ['/customers/{id}', '/customers/1', true],
    ['/customers/{id}', '/customers/', false],
    ['/customers/{id}', '/customers', false],
    ['/customers/{id}', '/customers/1/2', false],
    ['/{a}/{b}', '/x/y', true],
    ['/', '/', true],
  ])('%s and %s: %s', (pattern, path, expected) => {
    expect(fits(pattern, path)).toBe(expected)
  })

  it.each(['customers', '/a b', '/{id', '/{}', '/a/../b', '/./b', '/{a-b}', '/%2e'])('%s is none', (text) => {
    expect(parseRoutePattern(text)).toBeUndefined()
  })
})

describe('fields', () => {
  it('of a request: nothing of one hop, nothing that says who asks or where, nothing that Connection names', () => {
    const raw = [
      ['Accept', 'application/json'],
      ['Authorization', 'Bearer gateway-token'],
      ['Cookie', 'session=1'],
      ['Host', 'gateway'],
      ['Connection', 'keep-alive, X-Secret'],
      ['X-Secret', 'internal'],
      ['X-Forwarded-For', '10.0.0.1'],
      ['X-HTTP-Method-Override', 'DELETE'],
      ['Transfer-Encoding', 'chunked'],
      ['Accept-Encoding', 'gzip'],
      ['X-Request', '1'],
      ['X-Request', '2'],
    ].flat()
    expect(requestHeaders(raw)).toEqual(['Accept', 'application/json', 'X-Request', '1', 'X-Request', '2'])
  })

  it('of an answer: none that describe a body which is another now', () => {
    const raw = [
      'Content-Type',
      'application/json',
      'ETag',
      '"1"',
      'Content-Length',
      '3',
      'Set-Cookie',
      'a=b',
      'Keep-Alive',
      '5',
    ]
    expect(responseHeaders(raw, false)).toEqual([
      'Content-Type',
      'application/json',
      'ETag',
      '"1"',
      'Content-Length',
      '3',
    ])
    expect(responseHeaders(raw, true)).toEqual(['Content-Type', 'application/json'])
  })
})

describe('a route that others may read in a path (C-01)', () => {
  const may = (pattern: string, path: string): boolean => {
    const parsed = parseRoutePattern(pattern)
    return parsed !== undefined && mayMatchRoute(parsed, looseParts(path))
  }

  it.each([
    ['/customers/export', '/customers/EXPORT'],
    ['/customers/export', '/Customers/export;v=1'],
    ['/customers/export', '/customers/export.json'],
    ['/customers/export', '/customers/export.'],
    ['/customers/export', '/customers/export%20'],
    ['/customers/export', '/customers/export%3Bx'],
    ['/customers/export', '/customers/%EF%BD%85xport'],
    ['/{any}/Export', '/x/export'],
  ])('%s may be meant by %s', (pattern, path) => {
    expect(may(pattern, path)).toBe(true)
  })

  it.each([
    ['/customers/export', '/customers/7'],
    ['/customers/export', '/customers/exports'],
    ['/customers/export', '/customers/export/x'],
    ['/customers/{id}', '/customers/'],
  ])('%s is not meant by %s', (pattern, path) => {
    expect(may(pattern, path)).toBe(false)
  })
})

describe('a route with names in parts of a segment', () => {
  it('fits what has something in place of each of them', () => {
    const pattern = parseRoutePattern('/files/{name}.{kind}')
    if (pattern === undefined) throw new Error('it is a pattern')
    expect(matchesRoute(pattern, '/files/a.json')).toBe(true)
    expect(
      ['/files/.json', '/files/a.', '/files/ajson', '/files/a.json/b'].some((path) =>
        matchesRoute(pattern, path),
      ),
    ).toBe(false)
    expect(['/{a}{b}', '/{a}.{b}.{c}', '/{a', '/x{a-b}'].map(parseRoutePattern)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })

  it('stands behind what is written out, and before a name', () => {
    const order = ['/a/{b}', '/a/{b}.json', '/a/x'].map((text) => {
      const pattern = parseRoutePattern(text)
      if (pattern === undefined) throw new Error('it is a pattern')
      return pattern
    })
    expect(order.sort(comparePatterns).map(({ text }) => text)).toEqual(['/a/x', '/a/{b}.json', '/a/{b}'])
  })
})
