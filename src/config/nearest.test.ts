import { describe, expect, it } from 'vitest'
import { editDistance, nearest } from './nearest.ts'

describe('the distance of two words', () => {
  it.each([
    ['', '', 0],
    ['a', '', 1],
    ['upstream', 'upstream', 0],
    ['upstrem', 'upstream', 1],
    ['usptream', 'upstream', 1],
    ['kitten', 'sitting', 3],
    ['ca', 'abc', 3],
  ])('of %j and %j is %d', (a, b, distance) => {
    expect(editDistance(a, b, 99)).toBe(distance)
    expect(editDistance(b, a, 99)).toBe(distance)
  })

  it('is not worked out beyond what is asked, nor for long words', () => {
    expect(editDistance('kitten', 'sitting', 2)).toBe(2)
    expect(editDistance('a'.repeat(200), 'b'.repeat(200), 5)).toBe(5)
  })
})

describe('the nearest word', () => {
  it.each([
    ['conections', 'connections'],
    ['Connections', 'connections'],
    ['MB', 'MiB'],
    ['reed', 'read'],
    ['x', undefined],
    ['completely', undefined],
    ['', undefined],
  ])('to %j is %j', (written, expected) => {
    expect(nearest(written, ['B', 'read', 'KiB', 'connections', 'MiB', 'a'])).toBe(expected)
  })
})
