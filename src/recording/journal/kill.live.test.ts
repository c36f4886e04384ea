import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { randomFrom, seed, tally, times } from '../../../test/support/proof.ts'
import { systemClock } from '../../core/index.ts'
import { checkLog } from '../../testing/log-check.ts'
import { MemorySessionIndex } from '../../testing/memory-session-index.ts'
import { openRecording } from '../recording.ts'
import { readSession } from '../reading/reader.ts'
import { wholeRecording } from '../../testing/whole-recording.ts'
import { random as randomBytes, testKeys, testSeeds } from '../../testing/recording-keys.ts'

const script = join(import.meta.dirname, '..', '..', 'testing', 'journal-writer.ts')
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
  timeout: 30_000 + kills * 5000,
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
        seeds: testSeeds,
        random: randomBytes,
        clock: systemClock,
        index,
        onFault: (error) => expect.fail(String(error)),
      })
      await recording.settle()
      await recording.stop()
      const intents: number[] = []
      const ends = new Map<unknown, string>()
      for (const { sequence, session, entry } of await wholeRecording(directory, testKeys)) {
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

test(`killed ${kills} times while it seals: no entry is lost, none twice, and the log says what the files hold (P-07)`, {
  timeout: 30_000 + kills * 10_000,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-kill-'))
  const files = (suffix: string): string[] =>
    readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith(suffix))
  try {
    let acked = 0
    for (let kill = 0; kill < kills; kill++) {
      // The writer waits for the sealer each hundred commands: some kills come before it has begun, most while it works.
      acked += (await killedAfter(directory, 1 + random() * 150, random() * 100, 'seal')).length
      if (kill % 5 !== 4) continue
      const index = new MemorySessionIndex()
      const recording = await openRecording({
        directory,
        keys: testKeys,
        seeds: testSeeds,
        random: randomBytes,
        clock: systemClock,
        index,
        onFault: (error) => expect.fail(String(error)),
      })
      await recording.settle()
      await recording.stop()
      expect(files('.part')).toEqual([])
      const log = await checkLog(directory, testKeys)
      const entries = await wholeRecording(directory, testKeys)
      // Each process numbers its intents from one; what it said it had flushed is there.
      const intents = entries.filter(({ entry }) => entry.kind === 'intent')
      expect(intents.length).toBeGreaterThanOrEqual(acked)
      const sessions = new Set(entries.flatMap(({ session }) => session ?? []))
      expect([...log.files.keys()].sort()).toEqual([...sessions].sort())
      const sequences = [...log.files.values()].flat()
      expect(new Set(sequences).size).toBe(sequences.length)
      // Rebuilt from the files, since the journal was deleted: the list knows all of them, with all they did.
      const listed = await index.list({ limit: 1000 })
      const newest = [...sessions].sort().reverse().slice(0, 1000)
      expect(listed.map(({ session }) => session)).toEqual(newest)
      for (const { session, commands } of listed)
        expect(intents.filter((each) => each.session === session)).toHaveLength(commands)
    }
    expect(files('.slj').length).toBeLessThan(5)
    expect(acked).toBeGreaterThan(kills)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
