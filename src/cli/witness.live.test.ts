/** Witness and log as they are in life: two processes, either of which may die at any moment. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { CLI } from '../../test/support/gateway.ts'
import { randomFrom, seed, tally, times } from '../../test/support/proof.ts'
import {
  directorySource,
  formatVerifierKey,
  LogReader,
  nodeEd25519,
  nodeSha256,
  openCheckpoint,
  parseVerifierKey,
  treeHasher,
  verifyConsistency,
} from '../evidence/index.ts'
import { keyOf } from '../testing/witnessed-log.ts'

const WRITER = join(import.meta.dirname, '..', 'testing', 'log-writer.ts')
const place = mkdtempSync(join(tmpdir(), 'sluice-witness-'))
const log = keyOf('gateway.example/log', 1).key
const children = new Set<ChildProcess>()

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
})
afterAll(() => rmSync(place, { recursive: true, force: true }))

type Run = { readonly child: ChildProcess; readonly lines: string[]; readonly ended: Promise<number | null> }

function run(script: string, args: readonly string[]): Run {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  children.add(child)
  const lines: string[] = []
  let rest = ''
  const take = (text: string): void => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
  }
  child.stdout.setEncoding('utf8').on('data', take)
  child.stderr.setEncoding('utf8').on('data', (text: string) => lines.push(`stderr ${text}`))
  const ended = new Promise<number | null>((resolve) =>
    child.on('close', (code) => {
      children.delete(child)
      resolve(code)
    }),
  )
  return { child, lines, ended }
}

async function until(what: Run, pattern: RegExp): Promise<string> {
  for (;;) {
    const line = what.lines.find((each) => pattern.test(each))
    if (line !== undefined) return line
    if (what.child.exitCode !== null) throw new Error(`ended: ${what.lines.join('\n')}`)
    await pause(5)
  }
}

async function serve(directory: string, listen: string): Promise<{ run: Run; url: string; key: string }> {
  const args = ['--key', join(directory, 'key'), '--log', formatVerifierKey(log), '--listen', listen]
  const running = run(CLI, ['witness', 'serve', ...args, '--state', join(directory, 'state'), '--json'])
  const { url, key } = JSON.parse(await until(running, /"ready"/)) as { url: string; key: string }
  return { run: running, url, key }
}

describe('a witness in a process of its own', () => {
  it('makes its key once, for its owner alone, and prints the public half only', async () => {
    const key = join(place, 'made')
    const made = run(CLI, ['witness', 'key', 'witness.example/w', '--key', key])
    expect(await made.ended).toBe(0)
    expect(parseVerifierKey(nodeSha256, made.lines.join('\n'))).toMatchObject({
      name: 'witness.example/w',
      type: 'cosignature',
    })
    expect(statSync(key).mode & 0o777).toBe(0o600)
    expect(readFileSync(key, 'utf8')).toMatch(/^PRIVATE\+KEY\+witness\.example\/w\+/)
    const again = run(CLI, ['witness', 'key', 'witness.example/w', '--key', key])
    expect(await again.ended).toBe(1)
    expect(again.lines.join()).toContain('never overwritten')
  })

  it.each([
    ['a key that is none', ['--log', formatVerifierKey(log)], 'PRIVATE+KEY+secret', 'no private key', 1],
    ['a log key that is none', ['--log', 'nonsense'], '', 'no public key', 1],
    [
      'an address without a port',
      ['--log', formatVerifierKey(log), '--listen', 'localhost'],
      '',
      'HOST:PORT',
      2,
    ],
  ])('refuses %s', async (_what, args, text, message, code) => {
    const key = join(place, 'refused')
    writeFileSync(key, text, { mode: 0o600 })
    const rest = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0']
    const refused = run(CLI, [
      'witness',
      'serve',
      '--key',
      key,
      ...args,
      ...rest,
      '--state',
      join(place, 's'),
    ])
    expect(await refused.ended).toBe(code)
    expect(refused.lines.join()).toContain(message)
    expect(refused.lines.join()).not.toContain('secret')
  })

  it('and a log go on, whoever is killed, and agree on one history (P-06, P-07)', async () => {
    const directory = mkdtempSync(join(place, 'pair-'))
    const made = run(CLI, ['witness', 'key', 'witness.example/w', '--key', join(directory, 'key')])
    expect(await made.ended).toBe(0)
    const logDirectory = join(directory, 'log')
    const random = randomFrom(seed)
    const published = new Map<number, string>()
    let cosigned = 0
    let witness = await serve(directory, '127.0.0.1:0')
    const { url, key } = witness
    const listen = new URL(url).host
    const write = (batches: string): Run => run(WRITER, [logDirectory, url, key, batches])
    const take = (lines: readonly string[]): void => {
      for (const line of lines) {
        const [what, size = '', root = ''] = line.split(' ')
        if (what === 'cosigned') cosigned = Math.max(cosigned, Number(size))
        else if (what === 'failed') expect(size, line).toBe('upstream_unreachable')
        else if (what === 'published') {
          expect(published.get(Number(size)) ?? root, `seed ${seed}`).toBe(root)
          published.set(Number(size), root)
        } else expect(what, `seed ${seed}: ${line}`).toBe('opened')
      }
    }
    const rounds = times({ small: 6, full: 60 })
    for (let round = 0; round < rounds; round++) {
      const writer = write('100000')
      await until(writer, /^opened/)
      await pause(random() * 150)
      if (round % 3 === 1) {
        witness.run.child.kill('SIGKILL')
        await witness.run.ended
        witness = await serve(directory, listen)
        await pause(random() * 100)
      }
      writer.child.kill('SIGKILL')
      await writer.ended
      take(writer.lines)
    }
    tally('kills', rounds)
    const last = write('2')
    expect(await last.ended, last.lines.join('\n')).toBe(0)
    take(last.lines)
    expect(cosigned).toBe(Math.max(...published.keys()))

    const source = directorySource(logDirectory)
    const bytes = await source.read('checkpoint.cosigned', 100_000)
    const known = { origin: log.name, logKeys: [log], witnessKeys: [parseVerifierKey(nodeSha256, key)] }
    const { checkpoint, witnesses } = await openCheckpoint(nodeEd25519, bytes!, known)
    expect(witnesses).toHaveLength(1)
    expect(checkpoint.size).toBe(cosigned)
    const hasher = treeHasher(nodeSha256)
    const reader = new LogReader(source, hasher, checkpoint.size)
    for (const [oldSize, root] of published) {
      const proof = await reader.consistencyProof(oldSize)
      const oldRoot = Buffer.from(root, 'hex')
      const claim = { oldSize, size: checkpoint.size, oldRoot, root: checkpoint.root, proof }
      expect(verifyConsistency(hasher, claim), `size ${oldSize}, seed ${seed}`).toBe(true)
    }
    for (let at = 0; at * 256 < checkpoint.size; at++) {
      const entries = await reader.entries(at)
      entries.forEach((entry, i) =>
        expect(Buffer.from(entry).toString()).toMatch(new RegExp(` ${at * 256 + i}$`)),
      )
    }
    witness.run.child.kill('SIGTERM')
    expect(await witness.run.ended).toBe(0)
  })
})
