import { expect, test } from 'vitest'
import { type LogStatus, logFindings, recordingFindings } from './findings.ts'

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

test('a key that is missing, and files without one, are told of', () => {
  expect(
    said(
      new Map([
        ['bb', 1],
        [undefined, 2],
      ]),
      ['aa'],
    ),
  ).toEqual([
    'ok: New files are encrypted under the key aa.',
    'problem: 1 file of the recording cannot be read: the key bb is not given.',
    'warning: 2 files of the recording, of an earlier version, lie there unencrypted.',
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
  expect(told({ witnesses: { cosigned: ['a'], failed: ['b'] } })[1]).toBe(
    'warning: The witness b did not cosign the newest checkpoint.',
  )
})
