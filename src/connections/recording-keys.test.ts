import { expect, test } from 'vitest'
import { deriveKey, parseMasterKeys } from './master-key.ts'
import { recordingKeys } from './recording-keys.ts'

const master = (fill: number): string => Buffer.alloc(32, fill).toString('base64')
const bytesOf = (keys: ReturnType<typeof recordingKeys>): string[] =>
  keys.map(({ key }) => key.export().toString('hex'))

test('each master key has one recording key, of the same id and in the same order', () => {
  const both = parseMasterKeys(`${master(1)} ${master(2)}`, 'test')
  const keys = recordingKeys(both)
  expect(keys.map(({ id }) => id)).toEqual(both.map(({ id }) => id))
  const second = recordingKeys(parseMasterKeys(master(2), 'test'))
  expect(bytesOf(second)[0]).toBe(bytesOf(keys)[1])
  expect(new Set(bytesOf(keys)).size).toBe(2)
})

test('it is the key that docs/formats/journal.md says it is, and no other that is made from a master key', () => {
  const keys = parseMasterKeys(master(0), 'test')
  expect(keys[0].id).toBe('9c3ed708c2976419')
  expect(bytesOf(recordingKeys(keys))).toEqual([
    '6c80003092e1616c7b11415cd09284f0fc4f46fa054801c94e9de149105787ec',
  ])
  expect(bytesOf(recordingKeys(keys))[0]).not.toBe(
    Buffer.from(deriveKey(keys, 'budget records')).toString('hex'),
  )
})
