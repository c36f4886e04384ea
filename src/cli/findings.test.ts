import { expect, test } from 'vitest'
import {
  bucketFindings,
  bytesText,
  channelFindings,
  type LogStatus,
  logFindings,
  outletFindings,
  recordingFindings,
  storeFindings,
  retentionFindings,
} from './findings.ts'

const said = (...args: Parameters<typeof recordingFindings>): string[] =>
  recordingFindings(...args).map(({ level, message }) => `${level}: ${message}`)

test('the doctor says which key the recording is under, and which are needed still', () => {
  expect(said(new Map([['aa', 2]]), ['aa'])).toEqual(['ok: New files are encrypted under the key aa.'])
  expect(
    said(
      new Map([
        ['aa', 1],
        ['bb', 3],
      ]),
      ['aa', 'bb', 'cc'],
    ),
  ).toEqual([
    'ok: New files are encrypted under the key aa. Older files need bb.',
    'note: No file of the recording needs cc any more.',
  ])
})

test('a key that is missing is told of', () => {
  expect(said(new Map([['bb', 1]]), ['aa'])).toEqual([
    'ok: New files are encrypted under the key aa.',
    'problem: 1 file of the recording cannot be read: the key bb is not given.',
  ])
})

test('without a gateway the doctor says what would be needed', () => {
  expect(
    said(
      new Map([
        ['aa', 1],
        ['bb', 3],
      ]),
      undefined,
    ),
  ).toEqual(['note: To be read it needs the master keys aa (1 file), bb (3 files).'])
  expect(said(new Map(), undefined)).toEqual([])
})

test('the doctor says how the log is', () => {
  const fine: LogStatus = {
    key: 'gateway.example/log+01234567+A',
    entries: 7,
    lagFrames: 3,
    lagMs: 400,
    stopped: false,
    witnesses: { cosigned: [], failed: [] },
  }
  const told = (log: Partial<LogStatus>): string[] =>
    logFindings({ ...fine, ...log }).map(({ level, message }) => `${level}: ${message}`)
  expect(told({})).toEqual(['ok: 7 entries, signed by gateway.example/log+01234567+A.'])
  expect(told({ lagMs: 60_000 })).toEqual(['warning: It is 60 s behind: no checkpoint covers 3 entries.'])
  expect(told({ stopped: true, fault: { message: 'Damage.' } })).toEqual([
    'problem: Nothing is sealed any more: Damage.',
  ])
  expect(told({ fault: { message: 'EIO' } })[0]).toMatch(/it is tried again: EIO/)
  expect(told({ gap: { first: 3, last: 9 } })[1]).toMatch(/^problem: The journal had lost entries 3 to 9/)
  expect(told({ witnesses: { cosigned: ['a'], failed: ['b'] } })[1]).toBe(
    'warning: The witness b did not cosign the newest checkpoint.',
  )
})

test('an outlet that takes nothing is a warning, one that refuses a problem, and what it will never get is told', () => {
  const outlet = { name: 'siem', lagFrames: 0, missed: 0, parked: false }
  const fault = { message: 'It answered 401.', remedy: 'Look at the header.' }
  const told = (...all: Parameters<typeof outletFindings>[0]): string[] =>
    outletFindings(all).map(({ level, about, message }) => `${level} ${about}: ${message}`)
  expect(told(outlet)).toEqual(['ok outlet siem: It takes events.'])
  expect(told({ ...outlet, lagFrames: 1, fault })).toEqual([
    'warning outlet siem: It answered 401. 1 entry waits for it.',
  ])
  expect(told({ ...outlet, lagFrames: 7, parked: true, missed: 2, fault })).toEqual([
    'problem outlet siem: It answered 401. 7 entries wait for it.',
    'warning outlet siem: It will never get 2 entries by itself.',
  ])
})

test('the doctor says how the object store is', () => {
  const store = {
    place: 's3://recordings/a/',
    waitingFiles: 1,
    waitingBytes: 2_048,
    spoolBytes: 100,
    spoolBytesMax: 1_000,
    refused: 0,
    undeleted: 0,
  }
  const told = (...args: Parameters<typeof bucketFindings>): string[] =>
    bucketFindings(...args).map(({ level, message }) => `${level}: ${message}`)
  expect(told(undefined)).toEqual([])
  expect(told(store)).toEqual([
    'ok: s3://recordings/a/ takes what is sealed. 1 session file waits (2.0 KiB).',
  ])
  const fault = { message: 'It does not answer.', remedy: 'Wait.' }
  expect(bucketFindings({ ...store, fault, waitingFiles: 3 })).toEqual([
    {
      level: 'problem',
      about: 'object store',
      message: 'It does not answer. 3 session files wait (2.0 KiB).',
      remedy: 'Wait.',
    },
  ])
  expect(told({ ...store, refused: 2, undeleted: 1, spoolBytes: 3_000 }).slice(1)).toEqual([
    'problem: Of 2 sessions the store has something else than the gateway, or the file here is damaged: nothing was overwritten.',
    'warning: 1 session that was deleted here by retention could not be deleted there.',
    'warning: 2.9 KiB of session files are here, more than recording.store.spool allows (1000 B): only what is in the store is removed.',
  ])
  expect([0, 1, 1_023, 1_024, 1.5 * 1024 ** 3, 5_000 * 1024 ** 4].map(bytesText)).toEqual([
    '0 B',
    '1 B',
    '1023 B',
    '1.0 KiB',
    '1.5 GiB',
    '5000.0 TiB',
  ])
})

test('a hold on nothing is a warning, and erasures that wait are told of', () => {
  expect(retentionFindings({ emptyHolds: [], erasuresWaiting: 0 })).toEqual([])
  const [hold, waiting] = retentionFindings({ emptyHolds: ['connection crmm'], erasuresWaiting: 2 })
  expect(hold).toMatchObject({
    level: 'warning',
    message: expect.stringContaining('connection crmm holds nothing'),
  })
  expect(waiting).toMatchObject({ level: 'note', message: expect.stringContaining('2 erasures wait') })
})

test('the doctor says how a shared store is', () => {
  const told = (...args: Parameters<typeof storeFindings>): string[] =>
    storeFindings(...args).map(({ level, message }) => `${level}: ${message}`)
  const node = (name: string, version = '1.0', isRunning = true) => ({ node: name, version, isRunning })
  const fine = { node: 'a', behindMs: 900, clockAheadMs: -3, nodes: [node('a'), node('b', '0.9', false)] }
  expect(told(undefined)).toEqual([])
  expect(told(fine)).toEqual(['ok: This is the node a, of 1 that runs.'])
  expect(told({ ...fine, nodes: [node('a'), node('b', '1.1')] })).toEqual([
    'ok: This is the node a, of 2 that run.',
    'warning: Nodes of several versions run: 1.0, 1.1.',
  ])
  expect(told({ ...fine, behindMs: 42_000, nodes: undefined })).toEqual([
    'problem: The node a has not seen for 42 s what others changed: no session is opened.',
  ])
  expect(told({ ...fine, clockAheadMs: 2_500 })[1]).toBe(
    'warning: The clock here is 2500 ms behind that of the store: credentials and tickets end by so much late.',
  )
})

test('a channel that people are not told through is a problem, and what was given up is said', () => {
  const of = (status: Partial<Parameters<typeof channelFindings>[0][number]>) =>
    channelFindings([{ name: 'ops', waiting: 0, undelivered: 0, ...status }]).map(
      ({ level, about, message }) => `${level}: ${about}: ${message}`,
    )
  expect(of({})).toEqual(['ok: channel ops: Nothing has failed on it lately.'])
  expect(of({ waiting: 2, undelivered: 1, fault: 'The receiver answered 500.' })).toEqual([
    'problem: channel ops: People are not told through it: The receiver answered 500. 2 messages wait for it.',
    'warning: channel ops: 1 message was given up since the gateway has started.',
  ])
})
