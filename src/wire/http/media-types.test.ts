import { describe, expect, it } from 'vitest'
import { parseMediaType } from './media-types.ts'

describe('a media type', () => {
  it.each([
    ['application/json', 'application/json', {}],
    ['Application/JSON; Charset=UTF-8', 'application/json', { charset: 'UTF-8' }],
    [' text/csv ; header=present ;charset="utf-8" ', 'text/csv', { header: 'present', charset: 'utf-8' }],
    ['text/csv;;header="a\\"b"', 'text/csv', { header: 'a"b' }],
  ])('is read: %s', (text, type, parameters) => {
    const read = parseMediaType(text)
    expect(read?.type).toBe(type)
    expect(Object.fromEntries(read?.parameters ?? [])).toEqual(parameters)
  })

  it.each(['', 'json', 'a/b/c', 'a/b; charset', 'a/b; charset=x; charset=y', 'a/b; c="d', 'a/b, c/d'])(
    'is none: %s',
    (text) => {
      expect(parseMediaType(text)).toBeUndefined()
    },
  )
})
