import { createSecretKey } from 'node:crypto'
import { expect, test } from 'vitest'
import { MemoryLogStorage } from '../../testing/memory-log-storage.ts'
import { openLog } from './log-of-gateway.ts'

const seeds = [createSecretKey(Buffer.alloc(32, 1))] as const
const nameOf = async (storage: MemoryLogStorage, name?: string, node?: string): Promise<string> => {
  const { log, vkey } = await openLog(storage, seeds, name, node)
  await log.append([Buffer.from('an entry')])
  return vkey.split('+')[0] ?? ''
}

test('P-06: nodes of one key and one configuration sign logs of different names', async () => {
  const [a, b] = [new MemoryLogStorage(), new MemoryLogStorage()]
  expect(await nameOf(a, 'gateway.example.com/log', 'one-a')).toBe('gateway.example.com/log/one-a')
  expect(await nameOf(b, 'gateway.example.com/log', 'two-b')).toBe('gateway.example.com/log/two-b')
  expect(await nameOf(new MemoryLogStorage(), undefined, 'one-a')).toMatch(/^sluice\/[0-9a-f]{8}\/one-a$/)
  // Found again under the same name; not as somebody else's.
  expect(await nameOf(a, 'gateway.example.com/log', 'one-a')).toBe('gateway.example.com/log/one-a')
  await expect(nameOf(a, 'gateway.example.com/log', 'two-b')).rejects.toMatchObject({ code: 'conflict' })
  await expect(nameOf(a, 'gateway.example.com/log')).rejects.toMatchObject({ code: 'conflict' })
})

test('one that was alone keeps the name of its log when it joins others', async () => {
  const [named, unnamed] = [new MemoryLogStorage(), new MemoryLogStorage()]
  await nameOf(named, 'gateway.example.com/log')
  expect(await nameOf(named, 'gateway.example.com/log', 'one-a')).toBe('gateway.example.com/log')
  const own = await nameOf(unnamed)
  expect(await nameOf(unnamed, undefined, 'one-a')).toBe(own)
})
