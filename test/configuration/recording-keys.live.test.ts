/** Where the key of the recording comes from, how it is changed, and what happens without it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { keysOf } from '../../src/testing/recording-keys.ts'
import { CLI } from '../support/gateway.ts'
import { cleanEnvironment, run } from '../support/process.ts'
import { teardown } from '../support/teardown.ts'

const CONFIG = `listen: { postgres: { port: 0 } }
identities: { local: [{ name: tester, kind: service }] }
connections:
  shop:
    protocol: postgres
    upstream: { host: 127.0.0.1, port: 1, user: app, password: "\${store:shop}", sslmode: disable }
    databases: [postgres]
rules:
  - { name: read, who: everyone, on: all, permit: { run: [read], unreviewed: [read] } }
`
const [old, fresh] = [Buffer.alloc(32, 1).toString('base64'), Buffer.alloc(32, 2).toString('base64')]
const [oldId, freshId] = [keysOf(old)[0].id, keysOf(fresh)[0].id]

describe('the key of the recording', () => {
  const later = teardown()
  let place: string
  let data: string
  let credentials: string
  const command = (...args: string[]): string[] => [
    CLI,
    'start',
    '--config',
    join(place, 'sluice.yaml'),
    '--data',
    data,
    '--json',
    ...args,
  ]

  /** What `sluice doctor` says of the recording while a gateway runs like this. */
  async function doctorOf(args: string[], env: Record<string, string> = {}): Promise<string[]> {
    const child = spawn(process.execPath, command(...args), {
      env: { ...cleanEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    later(() => void child.kill('SIGKILL'))
    const [line] = await once(child.stdout, 'data')
    expect(String(line)).toMatch(/^\{"ready":true/)
    const found = await findings()
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    return found
  }

  async function findings(): Promise<string[]> {
    const done = await run(process.execPath, [CLI, 'doctor', '--json', '--data', data])
    const { findings: all }: { findings: { about: string; message: string }[] } = JSON.parse(done.stdout)
    return all.filter(({ about }) => about === 'recording').map(({ message }) => message)
  }

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), 'sluice-keys-'))
    later(() => rm(place, { recursive: true, force: true }))
    data = join(place, 'data')
    credentials = join(place, 'credentials')
    await mkdir(credentials)
    await writeFile(join(credentials, 'sluice.key'), `${old}\n`, { mode: 0o400 })
    await writeFile(join(place, 'sluice.yaml'), CONFIG)
  })

  test('comes from a systemd credential, then from a command that has a new one and the old one', async () => {
    expect(await doctorOf([], { CREDENTIALS_DIRECTORY: credentials })).toEqual([
      `New files are encrypted under the key ${oldId}.`,
    ])
    // Only the new one: nothing starts, and the one that is missing is named.
    const alone = await run(process.execPath, command('--key-command', `echo ${fresh}`))
    expect(alone).toMatchObject({ code: 1, stdout: '' })
    expect(alone.stderr).toContain(`(${oldId})`)
    expect(alone.stderr).toContain('Add that key after the present one')
    expect(alone.stderr).not.toContain(fresh)
    expect(await doctorOf(['--key-command', `sh -c 'echo ${fresh}; cat ${credentials}/sluice.key'`])).toEqual(
      [
        // The snapshot of the configuration that the first one judged by.
        `New files are encrypted under the key ${freshId}. Older files need ${oldId}.`,
      ],
    )
  })

  test('must not lie inside the data directory (P-08)', async () => {
    const inside = join(data, 'sluice.key')
    await writeFile(inside, old, { mode: 0o600 })
    const refused = await run(process.execPath, command('--key-file', inside))
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toContain(`${inside} lies inside the data directory`)
  })
})
