import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { randomFrom, seed, tally, times } from '../../test/support/proof.ts'
import { type SessionId, systemClock } from '../core/index.ts'
import { collect } from '../testing/entries.ts'
import { MemorySessionIndex } from '../testing/memory-session-index.ts'
import { openRecording } from './recording.ts'
import { type RecordedEntry, readJournal, readSession } from './reader.ts'
import { random as randomBytes, testKeys } from '../testing/recording-keys.ts'

const script = join(import.meta.dirname, '..', 'testing', 'journal-writer.ts')
const kills = times({ small: 10, full: 200 })
const random = randomFrom(seed)

/**
 * Runs the writer, kills it `ms` after it has said `flushed` numbers at least, and gives all that it said were flushed.
 * Counted rather than timed: a machine that has much else to do gets as far.
 */
async function killedAfter(directory: string, flushed: number, ms: number, how: string): Promise<number[]> {
  const child = spawn(process.execPath, [script, directory, '1000000', how], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  const started = Promise.withResolvers<void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (output.split('\n').length > flushed) started.resolve()
  })
  const ended = new Promise((resolve) => child.on('close', resolve))
  await Promise.race([started.promise, ended])
  await pause(ms)
  child.kill('SIGKILL')
  await ended
  tally('kills', 1)
  // A last line without its newline was being printed: its frames were flushed before, so it counts as well or not.
  return output.split('\n').slice(0, -1).map(Number)
}

test(`killed ${kills} times while it writes: what was flushed is there, and it starts again by itself (P-07)`, {
  timeout: 30_000 + kills * 2000,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-kill-'))
  const index = new MemorySessionIndex()
  try {
    let before = 0
    for (let kill = 0; kill < kills; kill++) {
      const acked = await killedAfter(directory, 1, random() * 80, kill % 4 === 3 ? 'sync' : 'flush')
      expect(acked.length).toBeGreaterThan(0)
      expect(acked.every((n, at) => n === at + 1)).toBe(true)
      const recording = await openRecording({
        directory,
        keys: testKeys,
        random: randomBytes,
        clock: systemClock,
        index,
        onFault: (error) => expect.fail(String(error)),
      })
      await recording.settle()
      await recording.stop()
      const intents: number[] = []
      const ends = new Map<unknown, string>()
      for await (const { sequence, session, entry } of readJournal(directory, testKeys, {
        onTornTail: () => expect.fail('torn'),
      })) {
        if (sequence <= before) continue
        before = sequence
        if (entry.kind === 'intent') intents.push(entry.head.n)
        if (entry.kind === 'open') ends.set(session, 'none')
        if (entry.kind === 'close') ends.set(session, entry.head.reason)
      }
      expect(intents.slice(0, acked.length)).toEqual(acked)
      expect(intents).toEqual(Array.from({ length: intents.length }, (_, at) => at + 1))
      expect([...ends.values()]).toEqual(['gateway stopped', 'gateway stopped'])
    }
    // The list and the session files tell the same as the journal.
    const listed = await index.list({ limit: 1000, open: false })
    expect(listed).toHaveLength(kills * 2)
    let commands = 0
    for (const summary of listed) {
      let counted = 0
      for await (const { entry } of readSession(directory, testKeys, summary.session))
        if (entry.kind === 'intent') counted++
      expect(counted).toBe(summary.commands)
      commands += counted
    }
    expect(commands).toBeGreaterThan(0)
    const sealed = readdirSync(join(directory, 'sessions'), { recursive: true, encoding: 'utf8' })
    expect(sealed.filter((name) => name.endsWith('.slr'))).toHaveLength(kills * 2)
    expect(sealed.filter((name) => name.endsWith('.part'))).toEqual([])
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

test(`killed ${kills} times while it cuts: every session that ended has a whole file, the same as the journal (P-07)`, {
  timeout: 30_000 + kills * 2000,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-kill-'))
  const index = new MemorySessionIndex()
  try {
    for (let kill = 0; kill < kills; kill++)
      await killedAfter(directory, 1 + random() * 40, random() * 30, 'cut')
    const drafts = (): string[] =>
      readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.part'))
    const recording = await openRecording({
      directory,
      keys: testKeys,
      random: randomBytes,
      clock: systemClock,
      index,
      onFault: (error) => expect.fail(String(error)),
    })
    await recording.settle()
    await recording.stop()
    expect(drafts()).toEqual([])
    const entries = new Map<SessionId, RecordedEntry[]>()
    for await (const each of readJournal(directory, testKeys)) {
      if (each.session === undefined) continue
      const all = entries.get(each.session) ?? []
      entries.set(each.session, all)
      all.push(each)
    }
    expect(entries.size).toBeGreaterThan(kills * 2)
    renameSync(join(directory, 'journal'), join(directory, 'hidden'))
    for (const [session, expected] of entries) {
      expect(expected.at(-1)?.entry.kind).toBe('close')
      expect(await collect(readSession(directory, testKeys, session))).toEqual(expected)
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
