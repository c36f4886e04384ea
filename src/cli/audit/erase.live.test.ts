/** Erasing as it is done: a gateway, the command line, both verifiers, and every place where something might be left. */
import { execFile } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CLI } from '../../../test/support/gateway.ts'
import type { LabelName, SessionId } from '../../core/index.ts'
import { brand } from '../../core/index.ts'
import { sessionFile } from '../../recording/files/names.ts'
import { readOwnFile } from '../../recording/reading/reader.ts'
import {
  closeEntry,
  collect,
  intentEntry,
  openEntry,
  outcomeEntry,
  sessionId,
} from '../../testing/entries.ts'
import { startTestApi, type TestApi } from '../../testing/running-gateway.ts'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '../../..')
const MARK = 'marker@example.com'
const email = { column: 'public.customers.email', label: brand<LabelName>('pii.email') }

let api: TestApi
let place: string
let session: SessionId
let other: SessionId
/** The file of the session as it was. */
let before: Buffer | undefined

beforeAll(async () => {
  api = await startTestApi()
  place = join(api.place, 'auditor')
  mkdirSync(join(place, 'bin'), { recursive: true })
  writeFileSync(join(place, 'bin/sluice'), `#!/bin/sh\nexec ${process.execPath} ${CLI} "$@"\n`)
  chmodSync(join(place, 'bin/sluice'), 0o755)
  symlinkSync(api.dataDirectory, join(place, 'data'))
  symlinkSync(join(ROOT, 'examples'), join(place, 'examples'))
  session = record()
  other = record()
  await api.gateway.parts.recording.settle()
}, 120_000)
afterAll(() => api.stop())

function record(): SessionId {
  const { journal } = api.gateway.parts
  const id = sessionId(Date.now())
  const labels = [brand<LabelName>('pii.email')]
  journal.append(id, openEntry())
  journal.append(id, {
    ...intentEntry(1, {
      text: 'SELECT email FROM customers WHERE email = [sealed 1]',
      columns: [email],
      sealed: [{ labels, numbers: [1], data: journal.seal(labels, [`'${MARK}'`]) }],
    }),
  })
  journal.append(id, outcomeEntry(1, {}, Buffer.from(MARK)))
  journal.append(id, intentEntry(2, { text: `SELECT '${MARK}'` }))
  journal.append(id, outcomeEntry(2, {}, Buffer.from('two')))
  journal.append(id, closeEntry(2))
  journal.sync()
  return id
}

async function shell(command: string) {
  const env = {
    PATH: `${join(place, 'bin')}:/usr/bin:/bin`,
    SLUICE_DATA: 'data',
    SESSION: session,
    NO_COLOR: '1',
  }
  const done = await run('/bin/sh', ['-c', command], { cwd: place, env, maxBuffer: 1e8 }).catch(
    (error: { readonly code: number; readonly stdout: string; readonly stderr: string }) => error,
  )
  return { code: 'code' in done ? done.code : 0, stdout: done.stdout, stderr: done.stderr }
}

async function verified(id?: SessionId): Promise<string> {
  await api.gateway.parts.recording.settle()
  const key = (await shell('sluice audit key')).stdout.trim()
  const master = join(place, 'sluice.key')
  writeFileSync(master, api.masterKey, { mode: 0o600 })
  const only = id === undefined ? '' : ` --session ${id}`
  const flags = `data --key '${key}' --master-key sluice.key${only}`
  const ours = await shell(`sluice audit verify ${flags}`)
  expect(ours).toMatchObject({ code: 0 })
  const theirs = await shell(`/usr/bin/python3 examples/verify/verify.py ${flags}`)
  expect(theirs).toMatchObject({ code: 0, stderr: '' })
  expect(theirs.stdout).toContain('proved')
  return `${ours.stdout}\n${theirs.stdout}`
}

/** Everything that the keys of the gateway open of the recording of a session. */
async function left(id: SessionId): Promise<string> {
  const entries = await collect(readOwnFile(api.dataDirectory, api.recordingKeys, id))
  return entries
    .map(({ entry }) => {
      const shown = api.gateway.parts.recording.shown(entry, () => true)
      const body = 'body' in shown && shown.body !== undefined ? Buffer.from(shown.body).toString() : ''
      return JSON.stringify(shown.head) + body
    })
    .join('\n')
}

describe('sluice audit erase', () => {
  it('has a guide whose commands work, and takes out what it is told to', async () => {
    expect(await left(session).catch(() => MARK)).toContain(MARK)
    before = existsSync(sessionFile(api.dataDirectory, session))
      ? readFileSync(sessionFile(api.dataDirectory, session))
      : undefined
    const guide = readFileSync(join(ROOT, 'docs/audit.md'), 'utf8')
    const commands = [...guide.matchAll(/^sluice audit erase .*$/gm)].map(([each]) => each)
    expect(commands.length).toBeGreaterThan(1)
    for (const command of commands) {
      const { code, stdout, stderr } = await shell(command)
      expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: '' })
      expect(stdout, command).toMatch(/Erased from|no such payload/)
    }
    expect(await left(session)).not.toContain(MARK)
    expect(await left(other).catch(() => MARK)).toContain(MARK)
  }, 180_000)

  it('leaves a recording that both verifiers prove, and that says what was erased, by whom and why (P-06)', async () => {
    const said = await verified()
    expect(said).toMatch(new RegExp(`erased +payloads of 1 session`))
    expect(said).toMatch(new RegExp(`${session} body of .* by operator socket: `))
    expect(said).toMatch(new RegExp(`erased ${session} body `))
    const { stdout } = await shell(`sluice audit log --action 'recording.*' --target ${session}`)
    expect(stdout).toContain('recording.erase ')
    expect(stdout).toContain('recording.removed')
    const [, entry = ''] = /^ *(\d+) .*recording\.removed/m.exec(stdout) ?? []
    expect((await shell(`sluice audit log ${entry}`)).stdout).toMatch(/payload +\S+/)
  }, 180_000)

  it('is proved to somebody by an evidence file, and noticed by both verifiers when it is there again (P-06)', async () => {
    await api.gateway.parts.recording.settle()
    const key = (await shell('sluice audit key')).stdout.trim()
    await shell(`sluice audit prove ${session} --data data --master-key sluice.key --out erased.json`)
    for (const verify of ['sluice audit verify', '/usr/bin/python3 examples/verify/verify.py'])
      expect(await shell(`${verify} erased.json --key '${key}'`), verify).toMatchObject({ code: 0 })
    expect((await shell(`sluice audit show erased.json --key '${key}'`)).stdout).toContain('[erased]')
    const path = sessionFile(api.dataDirectory, session)
    const after = readFileSync(path)
    if (before === undefined) throw new Error('the session was not sealed before it was erased')
    writeFileSync(path, before)
    for (const verify of ['sluice audit verify', '/usr/bin/python3 examples/verify/verify.py'])
      for (const master of ['', ' --master-key sluice.key']) {
        const { code, stdout } = await shell(`${verify} data --key '${key}'${master}`)
        expect({ verify, master, code }).toEqual({ verify, master, code: 1 })
        expect(stdout).toContain('is there, and the log says that it was removed')
      }
    writeFileSync(path, after)
    await verified()
  }, 180_000)

  it('is seen in place by who reads the recording', async () => {
    const show = await shell(`sluice sessions show ${session}`)
    expect(show.stdout).toContain('[erased]')
    const replay = await shell(`sluice sessions replay ${session} --speed 1000000`)
    expect(replay.stdout).toContain('(what the client saw was erased)')
    expect(await shell(`sluice sessions export ${session} --format csv --command 1`)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('was erased'),
    })
    const lines = (await shell(`sluice sessions export ${session} --format jsonl`)).stdout
    expect(lines).toContain('"erased":["body"]')
    for (const { stdout } of [show, replay, await shell(`sluice sessions export ${session} --format ocsf`)])
      expect(stdout).not.toContain(MARK)
    expect((await shell(`sluice sessions ls --text marker@example`)).stdout).not.toContain(session)
    expect((await shell(`sluice sessions ls --text marker@example`)).stdout).toContain(other)
  }, 180_000)

  it('takes what it does not know for wrong usage, and says what is not there', async () => {
    const reason = "--reason 'case 1'"
    expect(await shell(`sluice audit erase ${session} --payloads texts ${reason}`)).toMatchObject({ code: 2 })
    expect(await shell(`sluice audit erase x --payloads all ${reason}`)).toMatchObject({ code: 2 })
    expect(await shell(`sluice audit erase ${session} --payloads all`)).toMatchObject({ code: 2 })
    expect(await shell(`sluice audit erase ${session}/1 --payloads all ${reason}`)).toMatchObject({ code: 1 })
    expect(await shell(`sluice audit erase ${sessionId()} --payloads all ${reason}`)).toMatchObject({
      code: 1,
    })
  }, 120_000)

  it('erases nothing under legal hold', async () => {
    const { configurations } = api.gateway.parts
    const text = `${api.configText}recording: { retention: { hold: { sessions: [${other}], connections: [crmm] } } }\n`
    await configurations.apply(text, 'test')
    expect(await shell(`sluice audit erase ${other} --payloads all --reason 'case 1'`)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('legal hold'),
    })
    expect((await shell('sluice status')).stdout).toMatch(/legal hold +connection crmm: holds nothing/)
    const doctor = (await shell('sluice doctor')).stdout
    expect(doctor).toContain('The legal hold on connection crmm holds nothing')
    writeFileSync(join(place, 'typo.yaml'), text)
    const check = await shell('sluice config check typo.yaml')
    expect(check.code).toBe(0)
    expect(check.stdout).toMatch(/typo\.yaml:\d+:\d+ .*no connection is called "crmm".*did you mean "crm"/)
  }, 120_000)

  it('leaves no file of another version behind', () => {
    const folder = join(api.dataDirectory, 'sessions')
    const names = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((each) => each.isFile())
      .map(({ name }) => name)
    expect(names.filter((name) => name.endsWith('.new'))).toEqual([])
    const mode = statSync(join(folder, new Date().toISOString().slice(0, 10), `${session}.slr`)).mode
    expect(mode & 0o777).toBe(0o600)
  })
})
