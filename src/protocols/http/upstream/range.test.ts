import { describe, expect, it } from 'vitest'
import { cutOf, rangeFields, readRange } from './range.ts'

const range = (text: string) => {
  const read = readRange(text, undefined)
  if (read === undefined) throw new Error(`${text} is no range`)
  return read
}

describe('a range', () => {
  it.each(['bytes=1-2,4-5', 'items=1-2', 'bytes=2-1', 'bytes=', 'bytes=-', 'bytes=a-', 'bytes = 1-2', ''])(
    'that is not one in bytes is not passed on: %s',
    (text) => expect(readRange(text, undefined)).toBeUndefined(),
  )

  it.each([
    ['bytes=100-199', 'bytes=90-209'],
    ['bytes=5-9', 'bytes=0-19'],
    ['bytes=100-', 'bytes=90-'],
    ['bytes=-50', 'bytes=-60'],
  ])('is asked for with what is around it: %s', (asked, sent) => {
    expect(rangeFields(range(asked), 10)).toEqual(['range', sent])
    expect(rangeFields(range(asked), 0)).toEqual(['range', asked])
  })

  it.each([
    ['bytes=100-199', 'bytes 90-209/1000', { skip: 10, take: 100, contentRange: 'bytes 100-199/1000' }],
    ['bytes=100-', 'bytes 90-999/1000', { skip: 10, take: 900, contentRange: 'bytes 100-999/1000' }],
    ['bytes=-50', 'bytes 940-999/1000', { skip: 10, take: 50, contentRange: 'bytes 950-999/1000' }],
    ['bytes=-50', 'bytes 0-29/30', { skip: 0, take: 30, contentRange: 'bytes 0-29/30' }],
    ['bytes=100-199', 'bytes 90-149/150', { skip: 10, take: 50, contentRange: 'bytes 100-149/150' }],
    ['bytes=100-199', 'bytes 90-149/*', { skip: 10, take: 50, contentRange: 'bytes 100-149/*' }],
    ['bytes=1000-', 'bytes 990-999/1000', { skip: 0, take: 0, contentRange: 'bytes */1000' }],
    ['bytes=-0', 'bytes 990-999/1000', { skip: 0, take: 0, contentRange: 'bytes */1000' }],
  ])('is cut out of what came: %s of %s', (asked, came, cut) => {
    expect(cutOf(range(asked), came)).toEqual(cut)
  })

  it.each(['', 'bytes */100', 'bytes 5-4/100', 'items 1-2/3'])('is not guessed: %s', (came) => {
    expect(cutOf(range('bytes=1-2'), came)).toBeUndefined()
    expect(cutOf(range('bytes=-2'), 'bytes 1-2/*')).toBeUndefined()
  })
})
