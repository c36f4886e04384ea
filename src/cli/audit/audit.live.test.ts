/** The auditor's command line as it is used: processes, files, a web server, and every command of docs/audit.md. */
import { execFile } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { CLI } from '../../../test/support/gateway.ts'
import { systemClock } from '../../core/index.ts'
import { labelKey, openJournal } from '../../recording/index.ts'
import { closeEntry, openEntry, sessionId } from '../../testing/entries.ts'
import { random, testKeys } from '../../testing/recording-keys.ts'
import { LOG_KEY, RecordedLog, STRANGER_KEY, vkeyOf, WITNESSES } from '../../testing/recorded-log.ts'
import { S3_KEYS, S3Server } from '../../testing/s3-server.ts'
import { sampleRecording } from '../../testing/sample-recording.ts'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '../../..')
const place = mkdtempSync(join(tmpdir(), 'sluice-audit-'))
const stops: (() => void)[] = []
afterAll(() => {
  for (const stop of stops) stop()
  rmSync(place, { recursive: true, force: true })
})

const sample = await sampleRecording()
const put = (path: string, bytes: Uint8Array | string): string => {
  mkdirSync(dirname(join(place, path)), { recursive: true })
  writeFileSync(join(place, path), bytes)
  return join(place, path)
}
for (const [path, bytes] of sample.files) put(`data/${path}`, bytes)
put('gateway.vkey', `# the gateway\n${vkeyOf(LOG_KEY)}\n`)
put('witness-1.vkey', vkeyOf(WITNESSES[0]))
put('witness-2.vkey', vkeyOf(WITNESSES[1]))
put('earlier.checkpoint', sample.since)
put('sluice.key', Buffer.from(Array.from({ length: 32 }, (_, index) => index)).toString('base64'))
chmodSync(join(place, 'sluice.key'), 0o600)
symlinkSync(join(ROOT, 'examples'), join(place, 'examples'))
chmodSync(put('bin/sluice', `#!/bin/sh\nexec ${process.execPath} ${CLI} "$@"\n`), 0o755)

const bucket = await S3Server.open()
stops.push(() => void bucket.close())
for (const [path, bytes] of sample.files)
  bucket.objects.set(`gateway-1/${path}`, {
    bytes: Buffer.from(bytes),
    etag: 'e',
    checksum: undefined,
    meta: {},
  })

const environment = {
  S3_ENDPOINT: bucket.endpoint,
  AWS_ACCESS_KEY_ID: S3_KEYS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: S3_KEYS.secretAccessKey,
  // Debian's own Python has Debian's packages.
  PATH: `${join(place, 'bin')}:/usr/bin:/bin`,
  SESSION: sample.full,
  SEQUENCE: String(sample.sequenceOf.secondSegment),
  NO_COLOR: '1',
}

async function shell(command: string, env: Record<string, string> = environment) {
  const done = await run('/bin/sh', ['-c', command], { cwd: place, env, maxBuffer: 1e8 }).catch(
    (error: { readonly code: number; readonly stdout: string; readonly stderr: string }) => error,
  )
  return { code: 'code' in done ? done.code : 0, stdout: done.stdout, stderr: done.stderr }
}

const verify = (path: string, flags = '--key-file gateway.vkey') =>
  shell(`sluice audit verify ${path} ${flags}`)

describe('sluice audit', () => {
  const guide = readFileSync(join(ROOT, 'docs/audit.md'), 'utf8')
  const commands = [...guide.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block = '']) =>
    block.trim().split('\n'),
  )

  it('has a guide whose every command works', async () => {
    expect(commands.length).toBeGreaterThan(10)
    // What asks a gateway is run in erase.live.test.ts.
    for (const command of commands.filter((each) => !each.startsWith('sluice audit erase'))) {
      const { code, stdout, stderr } = await shell(command)
      expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: '' })
      expect(stdout, command).toMatch(/proved|frames of|ACTION/)
    }
    // The commands above wrote it: for its owner alone, who may see what is in it.
    expect(statSync(join(place, 'evidence.json')).mode & 0o777).toBe(0o600)
  })

  it('has a guide that shows what is printed', async () => {
    const { stdout } = await verify('data')
    const shown = /```\n(proved\nlog.*?)```/s.exec(guide)?.[1] ?? 'nothing'
    expect(stdout).toContain(shown.trim())
  })

  it('ends with 0 only for a proof (P-06)', async () => {
    expect(await verify('data')).toMatchObject({ code: 0, stderr: '' })
    expect(await verify('data', `--key '${vkeyOf(STRANGER_KEY)}'`)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('signature  log/checkpoint: no key that was given has signed it'),
    })
    expect(await verify('data', `--key-file gateway.vkey --session ${sample.live}`)).toMatchObject({
      code: 3,
      stdout: expect.stringContaining('not proved yet'),
    })
    expect(await verify('nowhere')).toMatchObject({ code: 1 })
    expect(await verify('data', '')).toMatchObject({ code: 2 })
    expect(await verify('data', `--key "$(cat witness-1.vkey)"`)).toMatchObject({ code: 2 })
    expect(await verify('data', '--key-file gateway.vkey --witnesses-needed 3')).toMatchObject({ code: 2 })
    expect(await verify('http://127.0.0.1:1/data')).toMatchObject({ code: 75 })
    expect(await verify('data', '--key-file gateway.vkey --since gateway.vkey')).toMatchObject({ code: 1 })
  })

  it('reads with the master key what the journal has behind the log, and proves nothing by it', async () => {
    for (const [path, bytes] of sample.files) put(`tail/${path}`, bytes)
    const onFault = (error: unknown): never => {
      throw error
    }
    const directory = join(place, 'tail')
    const journal = openJournal({ directory, keys: testKeys, clock: systemClock, random, onFault })
    const session = sessionId()
    journal.append(session, openEntry())
    journal.append(session, closeEntry(0))
    journal.flush()
    journal.close()
    const flags = '--key-file gateway.vkey --master-key sluice.key'
    // Its frames have the numbers of a new journal: below those that the log of the sample covers.
    const { code, stdout } = await verify('tail', `${flags} --json`)
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ proved: true, tail: { frames: 0, sessions: 0 } })
    const beyond = await RecordedLog.open()
    await beyond.commit()
    for (const [path, bytes] of beyond.all()) put(`young/${path}`, bytes)
    cpSync(join(place, 'tail/journal'), join(place, 'young/journal'), { recursive: true })
    const young = await verify('young', flags)
    expect(young.code).toBe(0)
    expect(young.stdout).toMatch(
      /tail {8}2 entries of 1 sessions in the journal, up to frame \d+: read, and not proved/,
    )
    const [file = ''] = readdirSync(join(place, 'young/journal'))
    const bytes = readFileSync(join(place, 'young/journal', file))
    bytes[5] = 0
    put(`young/journal/${file}`, bytes)
    put('young/journal/00000099.slj', '')
    expect((await verify('young', flags)).stdout).toContain('it cannot be read further')
  })

  it('verifies what a web server shows', async () => {
    const server = createServer((request, response) => {
      const bytes = sample.files.get((request.url ?? '').slice('/recording/'.length))
      if (bytes === undefined) response.writeHead(404).end()
      else response.end(bytes)
    }).listen(0, '127.0.0.1')
    stops.push(() => server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const answer = await verify(`http://127.0.0.1:${port}/recording/`, '--key-file gateway.vkey --json')
    expect(answer.code).toBe(0)
    expect(JSON.parse(answer.stdout)).toMatchObject({ proved: true, files: { read: 2 } })
    // One that stops in the middle of a file says nothing about the recording.
    const breaking = createServer((_request, response) => {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('x')
      response.destroy()
    }).listen(0, '127.0.0.1')
    stops.push(() => breaking.close())
    await new Promise((resolve) => breaking.once('listening', resolve))
    const broken = await verify(`http://127.0.0.1:${(breaking.address() as AddressInfo).port}`)
    expect(broken.code).toBe(75)
  })

  it('shows payloads in evidence only to who has the key, and none when told so', async () => {
    const marker = Buffer.from(`SELECT '${sample.marker}'`).toString('base64')
    const prove = (flags: string) => shell(`sluice audit prove ${sample.full} --data data ${flags}`)
    expect((await prove('--master-key sluice.key')).stdout).toContain(marker)
    expect((await prove('')).stdout).not.toContain(marker)
    expect((await prove('--no-payloads --master-key sluice.key')).stdout).not.toContain(marker)
    expect(await prove('--out /nowhere/at/all')).toMatchObject({ code: 1 })
    expect(await shell('sluice audit prove ../../x --data data')).toMatchObject({ code: 2 })
    put('changed.json', (await prove('')).stdout.replace('"index":0', '"index":1'))
    expect(await verify('changed.json')).toMatchObject({ code: 1 })
    put('no.json', '{}')
    expect(await verify('no.json')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no evidence file'),
    })
  })

  it('prints the key of one label for a reader who may see no other, and only from the master key', async () => {
    const printed = await shell('sluice audit key --label pii.email --master-key sluice.key')
    const [{ id }] = testKeys
    const key = Buffer.from(labelKey(testKeys[0], 'pii.email')).toString('base64')
    expect(printed).toMatchObject({ code: 0, stdout: `${id} ${key}\n` })
    expect(printed.stderr).toContain('every value of pii.email')
    expect(await shell('sluice audit key --label pii.email')).toMatchObject({ code: 1, stdout: '' })
  })

  it('prints the key of the log from the master key, or what the data directory says', async () => {
    const derived = await shell('sluice audit key --master-key sluice.key --data empty')
    expect(derived).toMatchObject({ code: 0, stderr: '' })
    expect(derived.stdout).toMatch(/^sluice\/[0-9a-f]{8}\+[0-9a-f]{8}\+/)
    // In the name of the log that is there.
    expect((await shell('sluice audit key --master-key sluice.key --data data')).stdout).toMatch(
      /^gateway\.example\/log\+/,
    )
    expect(await shell('sluice audit key --data data')).toMatchObject({ code: 1 })
    put('data/log/key', `${vkeyOf(LOG_KEY)}\n`)
    const said = await shell('sluice audit key --data data')
    expect(said).toMatchObject({ code: 0, stdout: `${vkeyOf(LOG_KEY)}\n` })
    expect(said.stderr).toContain('what the data directory says')
    put('data/log/key', '\u001b]0;owned\u0007\n')
    const foul = await shell('sluice audit key --data data')
    expect(foul).toMatchObject({ code: 1, stdout: '' })
    expect(foul.stderr).not.toContain('\u001b')
    put('data/log/key', `${vkeyOf(LOG_KEY)}\n`)
  })
})
