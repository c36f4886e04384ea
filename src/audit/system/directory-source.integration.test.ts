import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { fileOf, LOG_KEY } from '../../testing/recorded-log.ts'
import { sampleRecording } from '../../testing/sample-recording.ts'
import { directoryAuditSource, nodePrimitives, verifyRecording } from '../index.ts'

const sample = await sampleRecording()
let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-source-'))
  for (const [path, bytes] of sample.files) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    writeFileSync(join(root, path), bytes)
  }
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const verify = () =>
  verifyRecording({ source: directoryAuditSource(root), primitives: nodePrimitives, keys: [LOG_KEY.key] })

it('is proved as it lies on the disk', async () => {
  expect(await verify()).toMatchObject({ proved: true, failures: [] })
})

for (const [name, put] of [
  ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
  ['a directory', (path: string) => mkdirSync(path)],
  ['a link to itself', (path: string) => symlinkSync(path, path)],
  ['a link to a file', (path: string) => symlinkSync(join(root, 'log', 'key'), path)],
] as const)
  it.each([fileOf(sample.full), 'log/checkpoint', 'log/tile/0/000', 'log/tile/entries/000'])(
    `${name} in the place of a file is a failure with its place, and waited for by nobody (P-06): %s`,
    async (path) => {
      rmSync(join(root, path))
      put(join(root, path))
      expect((await verify()).failures[0]).toMatchObject({ code: 'damaged', path })
    },
  )
