import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { logStorageContract } from '../../testing/log-storage-contract.ts'
import { DirectoryStorage, directorySource } from './directory-storage.ts'

const places: string[] = []

function place(): string {
  const made = mkdtempSync(join(tmpdir(), 'sluice-log-'))
  places.push(made)
  return join(made, 'log')
}

afterEach(() => {
  for (const each of places.splice(0)) rmSync(each, { recursive: true, force: true })
})

logStorageContract('a directory', () => DirectoryStorage.open(place()))

describe('a log in a directory', () => {
  it('is for its owner alone', async () => {
    const root = place()
    const storage = await DirectoryStorage.open(root)
    await storage.putIfAbsent('tile/0/x001/000', new Uint8Array(3))
    expect(statSync(join(root, 'tile/0/x001/000')).mode & 0o777).toBe(0o600)
    expect(statSync(join(root, 'tile/0/x001')).mode & 0o777).toBe(0o700)
    expect(statSync(root).mode & 0o777).toBe(0o700)
  })

  it('leaves no draft behind, and takes away those of a process that was killed', async () => {
    const root = place()
    const storage = await DirectoryStorage.open(root)
    await storage.replace('checkpoint', new Uint8Array(3))
    await storage.putIfAbsent('tile/0/000', new Uint8Array(3))
    await storage.putIfAbsent('tile/0/000', new Uint8Array(3))
    expect(readdirSync(join(root, '.drafts'))).toEqual([])
    // The name cannot be taken: a directory has it.
    await expect(storage.replace('tile/0', new Uint8Array(3))).rejects.toThrow()
    expect(readdirSync(join(root, '.drafts'))).toEqual([])
    writeFileSync(join(root, '.drafts', '1-1'), 'half a ti')
    expect(await directorySource(root).read('tile/0/000', 10)).toHaveLength(3)
    expect(readdirSync(join(root, '.drafts'))).toEqual(['1-1'])
    await DirectoryStorage.open(root)
    expect(readdirSync(join(root, '.drafts'))).toEqual([])
  })
})
