import { crc32 } from 'node:zlib'
import { draftOf, fileOf, type Files } from './recorded-log.ts'
import { at, type Corpus } from './tampering.ts'

const CHECKPOINT = 'log/checkpoint'
const JUNK = Buffer.from('nothing that a gateway wrote, '.repeat(8))

/** Files that no proof rests on: those that a recording never has, and those that a process may leave that died. */
export function tamperWithOthers(corpus: Corpus): void {
  strange(corpus)
  journals(corpus)
  leftOver(corpus)
}

function strange(corpus: Corpus): void {
  const put = (path: string, bytes: Uint8Array = JUNK, place = path): void =>
    corpus.add(`file: nobody looks at ${path}`, (files) => void files.set(path, bytes), {
      code: 'unknown',
      path: place,
    })
  put('journal/00000000.slj')
  put('journal/000000001.slj')
  put('journal/00000000.slj.cut-5')
  put('log/staged/00000001')
  put('log/.drafts/notes')
  put('log/tile/9/x/999', JUNK, 'log/tile/9')
  put('log/tile/0/x')
  put('log/tile/0/1')
  put('log/tile/0/x000/000', JUNK, 'log/tile/0/x000')
  put('log/tile/0/000.p/0')
  put('log/tile/entries/000.p/256')
  put('log/tile/entries/000.p/more')
  put('log/checkpoint.deadbeef')
  const head = at(corpus.sample.files, CHECKPOINT)
  put('log/checkpoint.deadbee0', head)
  // By the key that it is called after, and not the last one of that key.
  put('log/checkpoint.ba349cbf', head)
}

function journals(corpus: Corpus): void {
  const add = (name: string, all: Readonly<Record<string, Uint8Array>>, path: string, offset = 0): void =>
    corpus.add(
      `journal: ${name}`,
      (files) => {
        for (const [file, bytes] of Object.entries(all)) files.set(`journal/${file}.slj`, bytes)
      },
      { code: 'damaged', path: `journal/${path}.slj`, offset },
    )
  add('a file that is none', { '00000099': JUNK }, '00000099')
  add(
    'a file that is cut off in front of another',
    { '00000001': header(1, 1).subarray(0, 40), '00000002': header(2, 548) },
    '00000001',
  )
  add(
    'two files in each other\u2019s place',
    { '00000001': header(2, 548), '00000002': header(1, 1) },
    '00000001',
  )
  add(
    'a file that begins before the one in front of it',
    { '00000001': header(1, 548), '00000002': header(2, 1) },
    '00000002',
    16,
  )
}

/** Said, and no failure: nothing in them is believed. */
function leftOver(corpus: Corpus): void {
  const { full, live } = corpus.sample
  const ignored = (path: string, bytes: Uint8Array = JUNK): void => corpus.passOver(path, bytes)
  for (const path of [`${fileOf(full)}.new`, draftOf(full), `${draftOf(full)}.new`, `${draftOf(live)}.new`])
    ignored(path)
  ignored('journal/00000001.slj.cut-4096')
  ignored('journal/00000001.slj', header(1, 1).subarray(0, 40))
  ignored('log/.drafts/4711-1')
  // As of what was about to be signed, or was copied later than the checkpoint.
  for (const path of ['0/007', 'entries/007', '0/x001/000', 'entries/002.p/200', '2/000.p/1', '6/000'])
    ignored(`log/tile/${path}`)
  // Of a smaller log, and of one that is full: a recording has these.
  corpus.add(
    'file: parts of tiles that are not needed any more',
    (files: Files) => {
      for (const path of ['0/002.p/20', 'entries/002.p/20', '0/000.p/255'])
        files.set(`log/tile/${path}`, JUNK)
    },
    undefined,
  )
}

/** Of a journal file, as far as who has no key can tell. */
export function header(number: number, first: number): Uint8Array {
  const bytes = Buffer.alloc(100)
  bytes.write('SLUICEJ2', 'latin1')
  bytes.writeUInt32LE(number, 12)
  bytes.writeBigUInt64LE(BigInt(first), 16)
  bytes.writeUInt32LE(crc32(bytes.subarray(12)), 8)
  return bytes
}
