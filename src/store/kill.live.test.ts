/**
 * Kills a process that writes, at a random moment, and looks for every row that it was told is on the disk.
 * What a cut of the power does cannot be shown this way; the settings that decide it are checked in store.integration.test.ts.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { randomFrom, seed, tally, times } from '../../test/support/proof.ts'
import { claimDataDirectory, Store } from './index.ts'

const WRITER = fileURLToPath(new URL('../testing/store-writer.ts', import.meta.url))

it('keeps every row that was acknowledged before SIGKILL, and the lock does not outlive its owner (P-07)', async () => {
  const random = randomFrom(seed)
  let acknowledgedInAll = 0
  const rounds = times({ small: 4, full: 50 })
  for (let round = 0; round < rounds; round++) {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-kill-'))
    const acknowledged = await killAtRandomMoment(folder, random)
    acknowledgedInAll += acknowledged.length

    claimDataDirectory(folder).release()
    const store = await Store.open(folder, (error) => {
      throw error
    })
    const kept = new Set((await store.sealedSecrets.all()).map((each) => each.name))
    const lost = acknowledged.filter((name) => !kept.has(name))
    await store.close()
    await rm(folder, { recursive: true })
    expect(lost, `seed ${seed}, round ${round}`).toEqual([])
  }
  expect(acknowledgedInAll).toBeGreaterThan(rounds * 10)
  tally('kills of a writing store', rounds)
  tally('acknowledged rows found again', acknowledgedInAll)
})

async function killAtRandomMoment(folder: string, random: () => number): Promise<readonly string[]> {
  const writer = spawn(process.execPath, [WRITER, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  const claimed = { refused: false }
  let output = ''
  writer.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (output === '') {
      try {
        claimDataDirectory(folder)
      } catch {
        claimed.refused = true
      }
      setTimeout(() => writer.kill('SIGKILL'), random() * 400)
    }
    output += text
  })
  const [, signal] = await once(writer, 'close')
  expect(signal).toBe('SIGKILL')
  expect(claimed.refused).toBe(true)
  // A line that was cut off was not fully told.
  return output.split('\n').slice(0, -1)
}
