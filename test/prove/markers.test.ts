import { describe, expect, it } from 'vitest'
import { Markers } from './markers.ts'

/** Numbers that look random enough and are always the same. */
function randomFrom(start: number): () => number {
  let state = start
  return () => (state = (state * 16807) % 2147483647) / 2147483647
}

/** A search that finds nothing proves nothing: every notation it claims is tried. */
describe('the search for protected values', () => {
  const markers = new Markers(randomFrom(7))
  const word = markers.word()
  const part = word.slice(3, 9)
  const hex = (text: string) => Buffer.from(text).toString('hex')
  const each = (text: string, form: (code: number) => string) =>
    [...text].map((letter) => form(letter.charCodeAt(0))).join('')

  it.each([
    ['plain', word],
    ['a part', `ab${part}cd`],
    ['upper case', part.toUpperCase()],
    ['first letter upper', word[0]?.toUpperCase() + word.slice(1)],
    ['reversed', [...word].toReversed().join('')],
    ['hex', hex(word)],
    ['hex of upper case', hex(word.toUpperCase()).toUpperCase()],
    ['base64', Buffer.from(word).toString('base64')],
    ['base64, shifted', Buffer.from(`a${word}`).toString('base64')],
    ['base64, shifted twice', Buffer.from(`ab${word}`).toString('base64')],
    ['base64 of a part', Buffer.from(`abc${part}de`).toString('base64')],
    ['URL', each(part, (code) => `%${code.toString(16)}`)],
    ['JSON', each(part, (code) => `\\u00${code.toString(16)}`)],
    ['XML, hex', each(part, (code) => `&#x${code.toString(16)};`)],
    ['XML, decimal', each(part, (code) => `&#${code};`)],
    ['bytea, octal', each(part, (code) => `\\${code.toString(8).padStart(3, '0')}`)],
    ['letter by letter', [...word].join(',')],
  ])('finds %s', (_, text) => {
    expect(markers.find(Buffer.from(`before ${text} after`))).not.toEqual([])
  })

  it('finds UTF-16 of both kinds', () => {
    const little = Buffer.from(part, 'utf16le')
    expect(markers.find(little)).not.toEqual([])
    expect(markers.find(Buffer.from(little).swap16())).not.toEqual([])
  })

  it.each([
    ['int4', () => String(markers.integer(9))],
    ['int8', () => String(markers.integer(16))],
    ['numeric', () => markers.numeric()],
    ['float8', () => markers.float()],
    ['date', () => markers.date()],
    ['timestamp', () => markers.timestamp()],
    ['uuid', () => markers.uuid()],
    ['uuid without strokes', () => markers.uuid().replaceAll('-', '')],
    ['inet', () => markers.inet()],
  ])('finds %s as text', (_, make) => {
    expect(markers.find(Buffer.from(`x${make()}`))).not.toEqual([])
  })

  it('finds numbers in binary', () => {
    const bytes = Buffer.alloc(12)
    bytes.writeInt32BE(markers.integer(9), 0)
    expect(markers.find(bytes)).not.toEqual([])
    bytes.writeInt32BE(0, 0)
    bytes.writeBigInt64BE(BigInt(markers.integer(16)), 4)
    expect(markers.find(bytes)).not.toEqual([])
  })

  it('finds nothing in what is no value', () => {
    const others = new Markers(randomFrom(8))
    for (let i = 0; i < 50; i++) others.word()
    const text = `SELECT quick jumpy wizard foxes FROM pg_class 12345 0.000 [masked] ${'ab12'.repeat(50)}`
    expect(others.find(Buffer.from(text))).toEqual([])
    expect(others.find(Buffer.from(markers.word()))).toEqual([])
  })
})
