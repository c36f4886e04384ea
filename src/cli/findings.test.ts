import { expect, test } from 'vitest'
import { recordingFindings } from './findings.ts'

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
    'note: No file of the journal needs cc any more.',
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
    'problem: 1 file of the journal cannot be read: the key bb is not given.',
    'warning: 2 files of the journal, of an earlier version, lie there unencrypted.',
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
