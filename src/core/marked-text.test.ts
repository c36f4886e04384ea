import fc from 'fast-check'
import { expect, it } from 'vitest'
import { brokenAt, markedLines } from './marked-text.ts'

it('puts a mark in front of every line, whatever it says, and says how many are empty', () => {
  expect(markedLines('a\n\nclass  write\n| b\n \n\n\n\nc')).toEqual([
    '| a',
    '| ',
    '| class  write',
    '| | b',
    '~ 4 lines with nothing but blanks',
    '| c',
  ])
})

it('lets no terminal begin a line with what others wrote', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', ' ', '\n', '\u4e2d', 'class write'), { maxLength: 200 }),
      fc.integer({ min: 10, max: 40 }),
      (pieces, width) => {
        const columns = (character: string): number => (character === '\u4e2d' ? 2 : 1)
        const lines = markedLines(pieces.join(''), width, columns)
        for (const line of lines) {
          expect(line.startsWith('| ') || /^~ \d+ lines with nothing but blanks$/.test(line)).toBe(true)
          const taken = [...line].reduce((sum, each) => sum + columns(each), 0)
          if (line.startsWith('| ')) expect(taken).toBeLessThanOrEqual(width)
        }
        // Nothing that can be seen is lost.
        const seen = lines.filter((line) => line.startsWith('| ')).map((line) => line.slice(2))
        expect(seen.join('').replaceAll(/\s/g, '')).toBe(pieces.join('').replaceAll(/\s/g, ''))
      },
    ),
  )
})

it('tells a long run of blanks in one line by its rows', () => {
  expect(markedLines(`a${' '.repeat(2_000)}b`, 42)).toEqual([
    `| a${' '.repeat(39)}`,
    '~ 49 lines with nothing but blanks',
    `| ${' '.repeat(1)}b`,
  ])
  expect(brokenAt('', 10)).toEqual([''])
})
