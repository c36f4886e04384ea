/** The launcher, copied into a small project of its own with a Node and an npm that only write down what they are told. */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const BIN = fileURLToPath(new URL('../bin', import.meta.url))

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-launch-'))
  cpSync(BIN, join(root, 'bin'), { recursive: true })
  mkdirSync(join(root, 'tools'))
  writeFileSync(join(root, 'package.json'), '{}')
  const packages = { '': {}, 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' } }
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages }))
  writeFileSync(
    join(root, 'npm-cli.js'),
    `const fs = require('fs')
fs.appendFileSync('installs', process.argv.slice(2).join(' ') + '\\n')
if (process.env.BREAK_NPM) { console.error('npm is broken'); process.exit(1) }
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
fs.mkdirSync('node_modules', { recursive: true })
fs.copyFileSync('package-lock.json', 'node_modules/.package-lock.json')`,
  )
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

/** A `node` found as the pinned one: a shell script. */
function pin(script: string): void {
  const folder = join(root, 'node_modules', `node-linux-${process.arch}`)
  mkdirSync(join(folder, 'bin'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{}')
  writeFileSync(join(folder, 'bin', 'node'), `#!/bin/sh\n${script}\n`)
  chmodSync(join(folder, 'bin', 'node'), 0o755)
}

function installed(): void {
  mkdirSync(join(root, 'node_modules'), { recursive: true })
  cpSync(join(root, 'package-lock.json'), join(root, 'node_modules', '.package-lock.json'))
}

function started(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, args, {
    cwd: root,
    env: { PATH: process.env['PATH'], npm_execpath: join(root, 'npm-cli.js'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

type End = { code: number | null; signal: string | null; out: string; err: string }

async function ended(child: ChildProcess): Promise<End> {
  const end: End = { code: null, signal: null, out: '', err: '' }
  child.stdout?.on('data', (bytes) => (end.out += bytes))
  child.stderr?.on('data', (bytes) => (end.err += bytes))
  const { promise, resolve } = Promise.withResolvers<End>()
  child.on('close', (code, signal) => resolve({ ...end, code, signal }))
  return promise
}

const launch = (...args: string[]): Promise<End> => ended(started([join(root, 'bin', 'launch.cjs'), ...args]))

function installs(): number {
  const file = join(root, 'installs')
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0
}

describe('the pinned Node', () => {
  beforeEach(installed)

  it('runs the script of the verb with its arguments', async () => {
    pin('echo "$@"; echo "$NODE_COMPILE_CACHE"')
    const { out, code } = await launch('sluice', 'dsn', 'crm', '--as', 'a b')
    expect(out).toBe(`${root}/tools/sluice.ts dsn crm --as a b\n${root}/node_modules/.cache/compile\n`)
    expect(code).toBe(0)
  })

  it('has few arenas of memory, unless told otherwise', async () => {
    pin('echo "$MALLOC_ARENA_MAX"')
    const script = join(root, 'bin', 'launch.cjs')
    expect((await ended(started([script, 'check']))).out).toBe('2\n')
    expect((await ended(started([script, 'check'], { MALLOC_ARENA_MAX: '7' }))).out).toBe('7\n')
  })

  it('passes on its exit code', async () => {
    pin('exit 7')
    expect(await launch('check')).toMatchObject({ code: 7, signal: null })
  })

  it('passes on the signal that killed it', async () => {
    pin('kill -KILL $$')
    expect(await launch('check')).toMatchObject({ code: null, signal: 'SIGKILL' })
  })

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'is sent the %s that the launcher gets',
    async (signal) => {
      pin(
        `trap 'echo got it; exit 3' ${signal.slice(3)}; echo ready; i=0; while [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done`,
      )
      const child = started([join(root, 'bin', 'launch.cjs'), 'start'])
      child.stdout?.once('data', () => child.kill(signal))
      expect(await ended(child)).toMatchObject({ out: 'ready\ngot it\n', code: 3, signal: null })
    },
  )
})

describe('without a pinned Node', () => {
  beforeEach(installed)

  it('goes on with a recent one', async () => {
    writeFileSync(
      join(root, 'tools', 'check.ts'),
      'const text: string = process.argv[2] ?? ""\nconsole.log(text)',
    )
    expect(await launch('check', 'here')).toMatchObject({ out: 'here\n', code: 0 })
  })

  it('says in one sentence what is missing if there is only an old one', async () => {
    const asIfOld = `Object.defineProperty(process.versions, 'node', { value: '20.20.2' })
require('./bin/node.cjs').runScript('x', [])`
    const { err, code } = await ended(started(['-e', asIfOld]))
    expect(err).toMatch(
      /^Sluice needs Node 22\.19 or newer; this is 20\.20\.2, and no Node is bundled for .*\n$/,
    )
    expect(code).toBe(1)
  })
})

describe('installing', () => {
  beforeEach(() => {
    writeFileSync(join(root, 'tools', 'check.ts'), 'console.log("checked")')
  })

  it('happens once, and leaves stdout alone', async () => {
    const first = await launch('check')
    expect(first).toMatchObject({ out: 'checked\n', code: 0 })
    expect(first.err).toMatch(/^Installing .*\nInstalled in \d+ s\.\n$/)
    expect(await launch('check')).toMatchObject({ out: 'checked\n', err: '' })
    expect(installs()).toBe(1)
  })

  it('happens once when two launch together', async () => {
    const both = await Promise.all([launch('check'), launch('check')])
    expect(both.map((each) => each.out)).toEqual(['checked\n', 'checked\n'])
    expect(installs()).toBe(1)
  })

  it('takes the lock of a launch that died', async () => {
    const dead = started(['-e', ''])
    await ended(dead)
    writeFileSync(join(root, '.installing'), String(dead.pid))
    expect(await launch('check')).toMatchObject({ code: 0 })
    expect(installs()).toBe(1)
    expect(existsSync(join(root, '.installing'))).toBe(false)
  })

  it('is not repeated because a checkout touched the lock file', async () => {
    installed()
    utimesSync(join(root, 'package-lock.json'), new Date(), new Date(Date.now() + 10_000))
    expect(await launch('check')).toMatchObject({ code: 0, err: '' })
    expect(installs()).toBe(0)
  })

  it('is repeated when the lock file names something else', async () => {
    installed()
    const packages = { '': {}, 'node_modules/a': { version: '1.0.1', integrity: 'sha512-b' } }
    writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages }))
    utimesSync(join(root, 'package-lock.json'), new Date(), new Date(Date.now() + 10_000))
    expect(await launch('check')).toMatchObject({ code: 0 })
    expect(installs()).toBe(1)
  })

  it('that fails ends the launch with the reason', async () => {
    const { err, out, code } = await ended(
      started([join(root, 'bin', 'launch.cjs'), 'check'], { BREAK_NPM: '1' }),
    )
    expect(err).toContain('npm is broken')
    expect({ out, code }).toEqual({ out: '', code: 1 })
  })
})

it('lists the verbs when asked for one it does not know', async () => {
  const { err, code } = await launch('toString')
  expect(err).toContain('usage:')
  expect(err).toContain('regress')
  expect(code).toBe(64)
})
