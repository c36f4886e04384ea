import { describe, expect, it } from 'vitest'
import { closeEntry, intentEntry, outcomeEntry } from '../../testing/entries.ts'
import { filesSource } from '../../testing/files-source.ts'
import { fileOf, type Files, LOG_KEY, RecordedLog, WITNESSES } from '../../testing/recorded-log.ts'
import { testKeys } from '../../testing/recording-keys.ts'
import { sampleRecording } from '../../testing/sample-recording.ts'
import { nodePrimitives, payloadOpener, type Verdict, verifyRecording, type VerifyOptions } from '../index.ts'

const sample = await sampleRecording()
const verify = (files: Files, options: Partial<VerifyOptions> = {}): Promise<Verdict> =>
  verifyRecording({ source: filesSource(files), primitives: nodePrimitives, keys: [LOG_KEY.key], ...options })

const states = ({ sessions }: Verdict) =>
  Object.fromEntries(sessions.map(({ session, state }) => [session, state]))

describe('a recording that is whole', () => {
  it('is proved: which frames of which sessions, under which keys and witnesses, and how far (P-06)', async () => {
    const witnesses = WITNESSES.map(({ key }) => key)
    const verdict = await verify(sample.files, { witnesses, payloads: payloadOpener(testKeys) })
    expect(verdict).toMatchObject({
      proved: true,
      log: { origin: 'gateway.example/log', size: 541, covered: 541, keys: [LOG_KEY.key] },
      through: { sequence: 548 },
      admin: 522,
      files: { read: 2, locked: 0 },
      failures: [],
    })
    expect(verdict.log?.witnesses.map(({ key }) => key)).toEqual(witnesses)
    expect(verdict.sessions).toEqual([
      { session: sample.full, state: 'proved', frames: 21, first: 1, last: 25 },
      { session: sample.short, state: 'proved', frames: 2, first: 2, last: 26 },
      { session: sample.deleted, state: 'deleted', frames: 2, first: 6, last: 7 },
      { session: sample.live, state: 'committed', frames: 1, first: 548, last: 548 },
    ])
  })

  it('is proved however its bytes come', async () => {
    for (const length of [1, 7, 4_096]) {
      const source = filesSource(sample.files, length)
      const { proved } = await verify(sample.files, { source, session: sample.short })
      expect(proved).toBe(true)
    }
  })

  it('is proved without its files being looked for where nobody can list them', async () => {
    const { read } = filesSource(sample.files)
    expect(await verify(sample.files, { source: { read } })).toMatchObject({ proved: true, unproven: [] })
  })

  it('counts files that no key was at hand for', async () => {
    expect((await verify(sample.files)).files).toMatchObject({ read: 2, locked: 2 })
  })
})

describe('one session', () => {
  it('is proved by itself', async () => {
    const verdict = await verify(sample.files, { session: sample.full })
    expect(verdict).toMatchObject({ proved: true, files: { read: 1 } })
    expect(states(verdict)).toEqual({ [sample.full]: 'proved' })
  })

  it('that is not sealed yet is not proved, and nothing is wrong', async () => {
    const verdict = await verify(sample.files, { session: sample.live })
    expect(verdict).toMatchObject({ proved: false, failures: [] })
    expect(states(verdict)).toEqual({ [sample.live]: 'committed' })
  })

  it('that the log does not have is a failure', async () => {
    const session = `${sample.full.slice(0, -1)}0`
    const { proved, failures } = await verify(sample.files, { session })
    expect(proved).toBe(false)
    expect(failures).toMatchObject([{ code: 'unknown', session }])
  })
})

describe('an earlier checkpoint', () => {
  it('spares the files that it covers', async () => {
    const since = sample.files.get('log/checkpoint')!
    const verdict = await verify(sample.files, { since })
    expect(verdict).toMatchObject({ proved: true, files: { read: 0 } })
    expect(states(verdict)).toMatchObject({ [sample.full]: 'earlier', [sample.live]: 'committed' })
    expect((await verify(sample.files, { since: sample.since })).files.read).toBe(2)
  })
})

describe('witnesses', () => {
  it('bound what is proved: behind what they have seen nothing is', async () => {
    const log = await RecordedLog.open()
    const first = log.begin(0)
    log.segment(first)
    log.through()
    await log.commit()
    await log.cosigned()
    const second = log.begin(1)
    log.segment(second)
    log.through()
    await log.commit()
    const witnesses = WITNESSES.map(({ key }) => key)
    const verdict = await verify(log.all(), { witnesses })
    expect(verdict).toMatchObject({ proved: true, log: { size: 6, covered: 3 }, through: { sequence: 1 } })
    expect(Object.keys(states(verdict))).toEqual([first])
    expect(await verify(log.all())).toMatchObject({ log: { size: 6, covered: 6 }, through: { sequence: 2 } })
  })
})

describe('a session with entries behind its close', () => {
  it('is proved when its file was written again, and when it was not', async () => {
    const log = await RecordedLog.open()
    const session = log.begin(0)
    log.frame(session, closeEntry(0))
    log.segment(session)
    log.through()
    log.seal(session)
    await log.commit()
    const before = log.all()
    log.frame(session, outcomeEntry(1))
    log.segment(session)
    log.through()
    await log.commit()
    const late = log.all()
    log.seal(session)
    await log.commit()
    const verdict = await verify(log.all())
    expect(verdict).toMatchObject({ proved: true, sessions: [{ state: 'proved', frames: 3 }] })
    expect(await verify(late)).toMatchObject({ proved: true })
    // Written again, and then something came later still.
    log.frame(session, outcomeEntry(2))
    log.segment(session)
    log.through()
    await log.commit()
    expect(await verify(log.all())).toMatchObject({
      proved: true,
      sessions: [{ state: 'proved', frames: 4 }],
    })
    // The file is newer than the log: a gateway that was asked while it wrote, or somebody who added to the file.
    const between = new Map([...before, [fileOf(session), log.all().get(fileOf(session))!]])
    expect((await verify(between)).failures).toMatchObject([{ code: 'frames', session, sequence: 3 }])
  })
})

describe('a payload that was taken out', () => {
  it('is no failure where the log says so', async () => {
    const build = async (told: boolean) => {
      const log = await RecordedLog.open()
      const session = log.begin(0)
      const sequence = log.frame(session, intentEntry(1, { text: 'SELECT secret' }), ['text'])
      log.frame(session, closeEntry(1))
      log.segment(session)
      log.through()
      log.seal(session)
      const details = { sequence, payload: told ? 'text' : 'parameters' }
      log.admin({ action: 'recording.removed', by: 'person:eve', target: session, details })
      await log.commit()
      return verify(log.all(), { payloads: payloadOpener(testKeys) })
    }
    expect(await build(true)).toMatchObject({ proved: true, files: { read: 1, locked: 0 } })
    expect((await build(false)).failures).toMatchObject([{ code: 'payload', sequence: 2 }])
  })
})

describe('a file that the log does not name', () => {
  it('is unproven while its session may be too new for the log', async () => {
    const log = await RecordedLog.open()
    const session = log.begin(0)
    log.frame(session, closeEntry(0))
    log.segment(session)
    log.through()
    log.seal(session)
    await log.commit()
    const newer = log.begin(5)
    log.frame(newer, closeEntry(0))
    log.seal(newer)
    const verdict = await verify(log.all())
    expect(verdict).toMatchObject({ proved: true, unproven: [newer] })
  })
})

describe('a failure', () => {
  it('has nothing of what was recorded in it', async () => {
    const log = await RecordedLog.open()
    log.bytes(Buffer.from('marker@example.com \u009b31m'))
    log.bytes(Buffer.from('{"kind":"marker@example.com"}'))
    await log.commit()
    const { failures } = await verify(log.all())
    expect(failures).toMatchObject([
      { code: 'unreadable', entry: 0 },
      { code: 'unreadable', entry: 1 },
    ])
    expect(JSON.stringify(failures)).not.toMatch(/marker|\u009b/)
  })
})

describe('what reading throws', () => {
  it('is thrown, and no verdict', async () => {
    const source = { read: () => Promise.reject(new Error('the disk is gone')) }
    await expect(verify(sample.files, { source })).rejects.toThrow('the disk is gone')
    const { read } = filesSource(sample.files)
    const late = {
      read: (path: string) => (path.startsWith('sessions/') ? Promise.reject(new Error('gone')) : read(path)),
    }
    await expect(verify(sample.files, { source: late })).rejects.toThrow('gone')
  })
})
