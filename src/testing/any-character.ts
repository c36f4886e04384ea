import * as fc from 'fast-check'

/**
 * Any character there is: the unit of a string of anything. The library's own `binary` gives the same ones, but makes a table of all 1.1 million of them the first time it is asked whether a text could be its.
 */
export const anyCharacter: fc.Arbitrary<string> = fc
  .integer({ min: 0, max: 0x10ffff - 0x800 })
  .map((at) => String.fromCodePoint(at < 0xd800 ? at : at + 0x800))
