import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SecretRef } from '../core/index.ts'
import { LIMITS, Secret } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { runSecretCommand, splitCommand } from './command.ts'
import { SecretResolver } from './resolve.ts'

let folder: string
let clock: FakeClock
let warnings: string[]
let resolver: SecretResolver

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-resolve-'))
  clock = new FakeClock()
  warnings = []
  const kept = new Map([['crm', new Secret('from the store')]])
  resolver = new SecretResolver({
    environment: {
      CRM_PASSWORD: 'from the environment',
      EMPTY: '',
      SLUICE_KEY: 'master',
      PATH: process.env.PATH,
    },
    directory: folder,
    sealed: { get: (name) => kept.get(name) },
    clock,
    warn: (message) => warnings.push(message),
  })
})
afterEach(() => rm(folder, { recursive: true }))

async function value(ref: SecretRef): Promise<string> {
  return (await resolver.resolve(ref)).reveal()
}

describe('a reference', () => {
  it('is resolved from each kind of source', async () => {
    await writeFile(join(folder, 'password'), 'from the file\n', { mode: 0o600 })
    expect(await value({ kind: 'env', name: 'CRM_PASSWORD' })).toBe('from the environment')
    expect(await value({ kind: 'file', path: 'password' })).toBe('from the file')
    expect(await value({ kind: 'file', path: join(folder, 'password') })).toBe('from the file')
    expect(await value({ kind: 'store', name: 'crm' })).toBe('from the store')
    expect(await value({ kind: 'command', command: "printf '%s\\n' 'from a command'" })).toBe(
      'from a command',
    )
    expect(await value({ kind: 'literal', value: new Secret('from the text') })).toBe('from the text')
  })

  it('says what is missing, and never a value (P-08)', async () => {
    await writeFile(join(folder, 'empty'), '\n', { mode: 0o600 })
    await writeFile(join(folder, 'long'), 'x'.repeat(LIMITS.secretBytesMax + 1), { mode: 0o600 })
    const refused: [SecretRef, string][] = [
      [{ kind: 'env', name: 'NOT_SET' }, '${env:NOT_SET}: this variable is not set.'],
      [{ kind: 'env', name: 'EMPTY' }, '${env:EMPTY}: it is empty.'],
      [{ kind: 'file', path: 'gone' }, `\${file:gone}: ${folder}/gone cannot be read (ENOENT).`],
      [{ kind: 'file', path: 'empty' }, '${file:empty}: it is empty.'],
      [{ kind: 'file', path: 'long' }, `\${file:long}: ${folder}/long is too long for a secret.`],
      [{ kind: 'file', path: '.' }, `\${file:.}: ${folder} cannot be read (EISDIR).`],
      [{ kind: 'store', name: 'unknown' }, '${store:unknown}: there is no such secret in the store.'],
      [
        { kind: 'command', command: 'false --password hunter2' },
        '${command:false ...}: The command false gave no secret: it ended with 1.',
      ],
      [
        { kind: 'command', command: 'no-such-program hunter2' },
        '${command:no-such-program ...}: The command no-such-program gave no secret: it cannot be run (ENOENT).',
      ],
      [{ kind: 'command', command: 'true' }, '${command:true ...}: it is empty.'],
      [{ kind: 'command', command: "echo 'x" }, "${command:echo ...}: A ' is not closed in this command."],
      [{ kind: 'command', command: ' ' }, '${command: ...}: This command is empty.'],
    ]
    for (const [ref, message] of refused) {
      await expect(resolver.resolve(ref), message).rejects.toMatchObject({ code: 'invalid', message })
    }
  })

  it('sees a changed file at once', async () => {
    const path = join(folder, 'password')
    await writeFile(path, 'old', { mode: 0o600 })
    expect(await value({ kind: 'file', path })).toBe('old')
    await writeFile(path, 'new\r\n')
    expect(await value({ kind: 'file', path })).toBe('new')
  })

  it('warns of a file that others may read, once', async () => {
    const path = join(folder, 'password')
    await writeFile(path, 'x', { mode: 0o644 })
    await resolver.resolve({ kind: 'file', path })
    await resolver.resolve({ kind: 'file', path })
    expect(warnings).toEqual([`${path} holds a secret and others may read it (mode 0644); chmod 600 it.`])
  })
})

describe('a command', () => {
  const counting = (): { ref: SecretRef; runs: () => Promise<number> } => {
    const path = join(folder, 'runs')
    const command = `sh -c 'echo run >> ${path}; echo secret'`
    return {
      ref: { kind: 'command', command },
      runs: async () => (await readFile(path, 'utf8')).trim().split('\n').length,
    }
  }

  it('runs once for many sessions, again after a minute, and at once when told to forget', async () => {
    const { ref, runs } = counting()
    await Promise.all([value(ref), value(ref), value(ref)])
    expect(await runs()).toBe(1)
    clock.advance(LIMITS.secretKeptMs)
    expect(await value(ref)).toBe('secret')
    expect(await runs()).toBe(2)
    resolver.forget(ref)
    await value(ref)
    expect(await runs()).toBe(3)
  })

  it('is asked again after a failure', async () => {
    const path = join(folder, 'password')
    const ref: SecretRef = { kind: 'command', command: `cat ${path}` }
    await expect(resolver.resolve(ref)).rejects.toThrow('it ended with 1')
    await writeFile(path, 'there now')
    expect(await value(ref)).toBe('there now')
  })

  it('is not a shell, and does not get the master key', async () => {
    expect(await value({ kind: 'command', command: 'echo $(id) ; echo $HOME > x' })).toBe(
      '$(id) ; echo $HOME > x',
    )
    expect(await value({ kind: 'command', command: 'sh -c "echo [$SLUICE_KEY][$CRM_PASSWORD]"' })).toBe(
      '[][from the environment]',
    )
  })

  it('is stopped, with all it started, when it takes too long', async () => {
    const path = join(folder, 'alive')
    const started = performance.now()
    const command = `sh -c "(sleep 0.8; echo x > ${path}) & sleep 30"`
    await expect(runSecretCommand(command, process.env, 300)).rejects.toThrow('it took longer than 300 ms')
    expect(performance.now() - started).toBeLessThan(5_000)
    await sleep(1_000)
    await expect(readFile(path)).rejects.toThrow('ENOENT')
  })

  it('is stopped when it prints without end', async () => {
    await expect(runSecretCommand('yes', process.env)).rejects.toThrow('it printed too much')
  })

  it('is split at blanks outside quotes', () => {
    expect(splitCommand(`  op read "op://a vault/x"  '' a'b c'd "it's"`)).toEqual([
      'op',
      'read',
      'op://a vault/x',
      '',
      'ab cd',
      "it's",
    ])
  })
})
