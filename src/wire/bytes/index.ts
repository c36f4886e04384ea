/**
 * Reading and writing binary formats: a cursor that cannot leave its message, a buffer that grows as it is written,
 * and one that grows as a peer's bytes really arrive. Leaves what the bytes mean to the folder of each format.
 * Promise: nothing a peer sends can be read past its end, and nothing a peer merely announces costs memory.
 */
export { Assembly } from './assembly.ts'
export { Reader } from './reader.ts'
export { decodeUtf8, showText } from './text.ts'
export { violation } from './violation.ts'
export { Writer } from './writer.ts'
