import { randomBytes } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { MasterKeySource } from './master-key.ts'
import { createMasterKeyFile, loadMasterKeys, parseMasterKeys } from './master-key.ts'

let folder: string
let data: string
let warnings: string[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-key-'))
  data = join(folder, 'data')
  await mkdir(data)
  warnings = []
})
afterEach(() => rm(folder, { recursive: true }))

function source(changes: Partial<MasterKeySource>): MasterKeySource {
  return {
    environment: {},
    dataDirectory: data,
    demo: false,
    warn: (message) => warnings.push(message),
    ...changes,
  }
}

describe('a key file', () => {
  it('is made once, for its owner alone, and read back', async () => {
    const keyFile = join(folder, 'keys', 'master.key')
    await createMasterKeyFile(keyFile, randomBytes)
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600)
    const [first, ...others] = await loadMasterKeys(source({ keyFile }))
    expect(others).toEqual([])
    const text = (await readFile(keyFile, 'utf8')).trim()
    expect(parseMasterKeys(text, 'test')[0].id).toBe(first.id)
    expect(inspect(first, { depth: 9, showHidden: true })).not.toContain(text.slice(11))
    await expect(createMasterKeyFile(keyFile, randomBytes)).rejects.toMatchObject({ code: 'conflict' })
    expect((await readFile(keyFile, 'utf8')).trim()).toBe(text)
  })

  it('is warned about when others may read it', async () => {
    const keyFile = join(folder, 'master.key')
    await createMasterKeyFile(keyFile, randomBytes)
    await loadMasterKeys(source({ keyFile }))
    expect(warnings).toEqual([])
    await chmod(keyFile, 0o644)
    await loadMasterKeys(source({ keyFile }))
    expect(warnings).toEqual([`${keyFile} holds a secret and others may read it (mode 0644); chmod 600 it.`])
  })

  it('is refused inside the data directory, by any road (P-08)', async () => {
    const inside = join(data, 'deep', 'master.key')
    await createMasterKeyFile(inside, randomBytes)
    const linked = join(folder, 'looks-outside.key')
    await symlink(inside, linked)
    const alias = join(folder, 'alias')
    await symlink(data, alias)
    for (const each of [
      source({ keyFile: inside }),
      source({ keyFile: linked }),
      source({ keyFile: join(data, '..', 'data', 'deep', 'master.key') }),
      source({ keyFile: inside, dataDirectory: alias }),
    ]) {
      await expect(loadMasterKeys(each)).rejects.toThrow('lies inside the data directory')
    }
    await expect(loadMasterKeys(source({ keyFile: inside, demo: true }))).resolves.toHaveLength(1)
  })

  it('may lie beside a data directory whose name it begins with', async () => {
    const keyFile = join(folder, 'data-key')
    await createMasterKeyFile(keyFile, randomBytes)
    await expect(loadMasterKeys(source({ keyFile }))).resolves.toHaveLength(1)
  })
})

describe('where keys come from', () => {
  it('takes SLUICE_KEY, as openssl prints it', async () => {
    const environment = { SLUICE_KEY: randomBytes(32).toString('base64') }
    await expect(loadMasterKeys(source({ environment }))).resolves.toHaveLength(1)
  })

  it('takes what a command prints, the new key and the old ones', async () => {
    const keys = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')]
    const keyCommand = `sh -c 'echo ${keys[0]}; echo "# old"; echo ${keys[1]}'`
    const loaded = await loadMasterKeys(source({ keyCommand, environment: { PATH: process.env['PATH'] } }))
    expect(loaded.map(({ id }) => id)).toEqual(parseMasterKeys(keys.join(' '), 'test').map(({ id }) => id))
    const failing = loadMasterKeys(
      source({ keyCommand: 'false', environment: { PATH: process.env['PATH'] } }),
    )
    await expect(failing).rejects.toThrow('The command false gave no secret: it ended with 1.')
    await expect(loadMasterKeys(source({ keyCommand: '/bin/echo no key' }))).rejects.toThrow(
      'what the command printed, key 1 is not a master key.',
    )
    await expect(loadMasterKeys(source({ keyCommand, keyFile: join(folder, 'master.key') }))).rejects.toThrow(
      'The master key is given twice: as a file and as a command.',
    )
  })

  it('refuses none, two sources, a missing file and what is no key', async () => {
    const keyFile = join(folder, 'master.key')
    const SLUICE_KEY = randomBytes(32).toString('base64')
    await expect(loadMasterKeys(source({}))).rejects.toThrow('There is no master key')
    await expect(loadMasterKeys(source({ keyFile }))).rejects.toThrow(`${keyFile} cannot be read (ENOENT)`)
    await writeFile(keyFile, 'correct-horse-battery-staple\n', { mode: 0o600 })
    await expect(loadMasterKeys(source({ keyFile }))).rejects.toThrow(`${keyFile}, key 1 is not a master key`)
    await expect(loadMasterKeys(source({ keyFile, environment: { SLUICE_KEY } }))).rejects.toThrow('twice')
  })

  it('reads several keys and comments, and shows no key in its errors', () => {
    const [one, two] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64')]
    const text = `# since the summer\nsluice-key-${one} # now\n${two}\n`
    expect(parseMasterKeys(text, 'file').map((key) => key.id)).toHaveLength(2)
    expect(() => parseMasterKeys('# nothing\n', 'file')).toThrow('file holds no master key.')
    const short = randomBytes(31).toString('base64')
    expect(() => parseMasterKeys(short, 'file')).toThrow(/^file, key 1 is not a master key\.$/)
  })
})
