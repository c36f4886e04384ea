import { formatNote, parseNote, nodeSha256, treeHasher, type SignerKey } from '../evidence/index.ts'
import { decodeBundle, encodeBundle } from '../evidence/log/layout.ts'
import { signNote } from '../evidence/note/note.ts'
import { adminEntry } from './entries.ts'
import {
  LOG_KEY,
  NEXT_LOG_KEY,
  RecordedLog,
  STRANGER_KEY,
  vkeyOf,
  withCosignatures,
  WITNESSES,
} from './recorded-log.ts'
import type { Files } from './recorded-log.ts'
import { sampleRecording } from './sample-recording.ts'
import { at, type Corpus, flip, swap } from './tampering.ts'

const CHECKPOINT = 'log/checkpoint'
const COSIGNED = 'log/checkpoint.cosigned'
const FIRST_BUNDLE = 'log/tile/entries/000'
const FIRST_TILE = 'log/tile/0/000'
const hasher = treeHasher(nodeSha256)

/** The log itself: checkpoints, cosignatures, tiles, bundles. */
export async function tamperWithLog(corpus: Corpus): Promise<void> {
  await checkpoints(corpus)
  await cosignatures(corpus)
  tiles(corpus)
  entries(corpus)
  await histories(corpus)
  await rotations(corpus)
}

async function checkpoints(corpus: Corpus): Promise<void> {
  const { files: whole } = corpus.sample
  const text = textOf(at(whole, CHECKPOINT))
  const root = Buffer.from(text).indexOf('\n', text.indexOf('\n') + 1) + 1
  const signature = { code: 'signature', path: CHECKPOINT } as const
  corpus.add('checkpoint: gone', (files) => files.delete(CHECKPOINT), { code: 'missing', path: CHECKPOINT })
  corpus.add('checkpoint: another root', (files) => spoil(at(files, CHECKPOINT), root + 3), signature)
  corpus.add('checkpoint: another signature', (files) => spoil(at(files, CHECKPOINT), -8), signature)
  corpus.add('checkpoint: no note', (files) => void files.set(CHECKPOINT, Buffer.from('541\n')), {
    code: 'damaged',
    path: CHECKPOINT,
  })
  const by = async (signer: SignerKey, written = text) =>
    Buffer.from(formatNote(await signNote(written, [signer])))
  const stranger = await by(STRANGER_KEY)
  corpus.add(
    'checkpoint: signed by a key that nobody gave',
    (files) => void files.set(CHECKPOINT, stranger),
    signature,
  )
  const otherOrigin = await by(LOG_KEY, text.replace('gateway.example/log', 'gateway.example/other'))
  corpus.add('checkpoint: of another log', (files) => void files.set(CHECKPOINT, otherOrigin), signature)
  corpus.add('keys swapped: the auditor has the key of another gateway', () => {}, signature, {
    keys: ['stranger'],
  })
}

async function cosignatures(corpus: Corpus): Promise<void> {
  const { since, files: whole } = corpus.sample
  const given = { witnesses: true }
  const put = (bytes: Uint8Array) => (files: Files) => void files.set(COSIGNED, bytes)
  corpus.add('cosignature: there', () => {}, undefined, given)
  corpus.add(
    'cosignature: changed',
    (files) => spoil(at(files, COSIGNED), -8),
    { code: 'signature', path: COSIGNED },
    given,
  )
  corpus.add(
    'cosignature: gone',
    (files) => files.delete(COSIGNED),
    { code: 'witnesses', path: CHECKPOINT },
    given,
  )
  const one = await withCosignatures(at(whole, CHECKPOINT), [WITNESSES[0]])
  corpus.add('cosignature: of one witness only', put(one), { code: 'witnesses', path: COSIGNED }, given)
  corpus.add('cosignature: of one witness, and one is enough', put(one), undefined, {
    ...given,
    witnessesNeeded: 1,
  })
  // What a witness said of an earlier state does not carry over.
  const [old, now] = [parseNote(await withCosignatures(since, WITNESSES)), parseNote(at(whole, CHECKPOINT))]
  const moved = { ...now, signatures: [...now.signatures, ...old.signatures.slice(1)] }
  corpus.add(
    'cosignature: taken from an earlier checkpoint',
    put(Buffer.from(formatNote(moved))),
    { code: 'signature', path: COSIGNED },
    given,
  )
  const alone = parseNote(at(whole, COSIGNED))
  const unsigned = { ...alone, signatures: alone.signatures.slice(1) }
  corpus.add(
    'cosignature: without the signature of the log',
    put(Buffer.from(formatNote(unsigned))),
    { code: 'signature', path: COSIGNED },
    given,
  )
}

function tiles(corpus: Corpus): void {
  const last = [...corpus.sample.files.keys()].find((path) => path.startsWith('log/tile/0/002.p/')) ?? ''
  const upper = 'log/tile/1/000.p/2'
  for (const path of [FIRST_TILE, last, upper]) {
    corpus.add(`tile: ${path} has another hash`, (files) => flip(at(files, path), 40), { code: 'tile', path })
    corpus.add(`tile: ${path} is gone`, (files) => files.delete(path), { code: 'missing', path })
    corpus.add(`tile: ${path} is cut off`, (files) => void files.set(path, at(files, path).slice(0, 33)), {
      code: 'damaged',
      path,
    })
  }
  for (const path of [FIRST_TILE, last, upper])
    corpus.add(
      `tile: ${path} has more hashes than its name says`,
      (files) => void files.set(path, Buffer.concat([at(files, path), Buffer.alloc(32)])),
      { code: 'damaged', path },
    )
  corpus.add('tile: two in each other\u2019s place', (files) => swap(files, FIRST_TILE, 'log/tile/0/001'), {
    code: 'tile',
    path: FIRST_TILE,
  })
}

/** Every kind of entry, edited, gone, twice, in another place, and another before it; in the bundle alone. */
function entries(corpus: Corpus): void {
  const { entryOf } = corpus.sample
  for (const [kind, entry] of Object.entries(entryOf)) {
    const path = entry < 256 ? FIRST_BUNDLE : 'log/tile/entries/002.p/29'
    const index = entry % 256
    const change = (name: string, work: (list: Uint8Array[]) => void, place = entry): void =>
      corpus.add(`entry: ${kind} ${name}`, (files) => rebundle(files, path, work), {
        code: 'entry',
        path,
        entry: place,
      })
    change('edited', (list) => flip(list[index]!, 20))
    change('gone', (list) => void list.splice(index, 1))
    change('twice', (list) => void list.splice(index, 0, list[index]!), entry + 1)
    change('behind the next one', (list) => void list.splice(index, 2, list[index + 1]!, list[index]!))
    change(
      'behind one that was never signed',
      (list) => void list.splice(index, 0, Buffer.from('{"kind":"through","sequence":1,"time":1}')),
    )
  }
  corpus.add(
    'bundle: more entries than its name says',
    (files) => rebundle(files, FIRST_BUNDLE, (list) => void list.push(list[0]!)),
    { code: 'damaged', path: FIRST_BUNDLE, entry: 0 },
  )
  const { segment } = entryOf
  const edit = (list: Uint8Array[]): void => spoil(list[segment]!, -20)
  corpus.add('entry: edited, and its tile made right', (files) => retile(files, edit), {
    code: 'tile',
    path: FIRST_TILE,
  })
  corpus.add(
    'entry: edited, and every tile above made right',
    (files) => {
      retile(files, edit)
      const root = rootOf(tileHashes(at(files, FIRST_TILE)))
      at(files, 'log/tile/1/000.p/2').set(root)
    },
    { code: 'root', path: CHECKPOINT },
  )
  corpus.add('bundle: gone', (files) => files.delete(FIRST_BUNDLE), {
    code: 'missing',
    path: FIRST_BUNDLE,
    entry: 0,
  })
  corpus.add(
    'bundle: cut off',
    (files) => void files.set(FIRST_BUNDLE, at(files, FIRST_BUNDLE).slice(0, -1)),
    { code: 'damaged', path: FIRST_BUNDLE },
  )
  corpus.add(
    'bundle: two in each other\u2019s place',
    (files) => swap(files, FIRST_BUNDLE, 'log/tile/entries/001'),
    { code: 'entry', path: FIRST_BUNDLE, entry: 0 },
  )
}

/** The whole log as it was earlier, a part of it, or another one under the same key. */
async function histories(corpus: Corpus): Promise<void> {
  const { files: whole, since } = corpus.sample
  const head = at(whole, CHECKPOINT)
  corpus.add('history: an earlier checkpoint is its beginning', () => {}, undefined, { since })
  corpus.add(
    'history: the head put back, the cosigned one left',
    (files) => void files.set(CHECKPOINT, since),
    { code: 'rolled-back', path: CHECKPOINT },
  )
  corpus.add(
    'history: the whole store put back, known from a checkpoint that was kept',
    (files) => {
      files.set(CHECKPOINT, since)
      files.delete(COSIGNED)
      for (const path of files.keys()) if (path.startsWith('sessions/')) files.delete(path)
    },
    { code: 'rolled-back', path: CHECKPOINT },
    { since: head },
  )
  const forked = await sampleRecording((log) => {
    const entry = adminEntry({ target: 'another' })
    if (entry.kind === 'admin') log.admin(entry.head)
  })
  corpus.add(
    'history: forked, known from a checkpoint that was kept',
    () => {},
    { code: 'forked', path: 'the checkpoint given with --since' },
    { since: head },
    forked.files,
  )
  corpus.add(
    'history: forked, known from what witnesses cosigned',
    (files) => void files.set(COSIGNED, at(whole, COSIGNED)),
    { code: 'forked', path: COSIGNED },
    { witnesses: true },
    forked.files,
  )
  const last = 'log/tile/entries/002.p/29'
  corpus.add(
    'history: the tail of the entries cut off',
    (files) => rebundle(files, last, (list) => void list.splice(20)),
    { code: 'entry', path: last, entry: 532 },
  )
}

/** The log key replaced by another. */
async function rotations(corpus: Corpus): Promise<void> {
  const rotated = async (announce: SignerKey, next: SignerKey): Promise<Files> => {
    const log = await RecordedLog.open()
    const session = log.begin(0)
    log.segment(session)
    log.through()
    await log.commit()
    log.raw({ kind: 'key', vkey: vkeyOf(announce) })
    const bridge = await log.commit()
    log.storage.pieces.set(`checkpoint.${LOG_KEY.key.id.toString(16).padStart(8, '0')}`, bridge)
    const after = await RecordedLog.open(next, log.storage, [LOG_KEY])
    after.raw({ kind: 'through', sequence: 2, time: 1_769_861_348_000 })
    await after.commit()
    return log.all()
  }
  const good = await rotated(NEXT_LOG_KEY, NEXT_LOG_KEY)
  const [same] = [(): void => {}]
  corpus.add('keys: rotated, and the auditor has the first', same, undefined, { keys: ['first'] }, good)
  corpus.add('keys: rotated, and the auditor has the next', same, undefined, { keys: ['next'] }, good)
  const signature = { code: 'signature', path: CHECKPOINT } as const
  const swapped = await rotated(STRANGER_KEY, NEXT_LOG_KEY)
  corpus.add('keys: another key signs than was announced', same, signature, { keys: ['first'] }, swapped)
  const kept = await rotated(NEXT_LOG_KEY, LOG_KEY)
  corpus.add('keys: the old key signs on', same, signature, { keys: ['first'] }, kept)
  const unbridged = new Map(good)
  unbridged.delete('log/checkpoint.ba349cbf')
  corpus.add(
    'keys: nothing shows that the old key announced the new one',
    same,
    signature,
    { keys: ['first'] },
    unbridged,
  )
}

function rebundle(files: Files, path: string, work: (list: Uint8Array[]) => void): void {
  const list = decodeBundle(at(files, path))
  work(list)
  files.set(path, encodeBundle(list))
}

function retile(files: Files, work: (list: Uint8Array[]) => void): void {
  rebundle(files, FIRST_BUNDLE, work)
  const hashes = decodeBundle(at(files, FIRST_BUNDLE)).map((entry) => Buffer.from(hasher.leaf(entry)))
  files.set(FIRST_TILE, Buffer.concat(hashes))
}

function tileHashes(tile: Uint8Array): Uint8Array[] {
  return Array.from({ length: tile.length / 32 }, (_, i) => tile.slice(i * 32, i * 32 + 32))
}

function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  let level = hashes
  while (level.length > 1)
    level = Array.from({ length: level.length / 2 }, (_, i) => hasher.node(level[2 * i]!, level[2 * i + 1]!))
  return level[0]!
}

/** Puts another letter of base 64 there. */
function spoil(bytes: Uint8Array, index: number): void {
  const place = index < 0 ? bytes.length + index : index
  bytes[place] = bytes[place] === 0x41 ? 0x42 : 0x41
}

function textOf(signed: Uint8Array): string {
  const { text } = parseNote(signed)
  return text
}
