import { decodeBundle, encodeBundle } from '../evidence/log/layout.ts'
import { nodeSha256 } from '../evidence/index.ts'
import type { Entry, SessionId } from '../core/index.ts'
import { closeEntry, intentEntry, outcomeEntry } from './entries.ts'
import { fileOf, type Files, NEXT_LOG_KEY, RecordedLog, vkeyOf } from './recorded-log.ts'
import { withFirstChunk } from './tampered-files.ts'
import { at, type Corpus, flip } from './tampering.ts'

/** What administrators, people who answer, and the gateway itself are recorded to have done. */
const ACTIONS = [
  'access.emergency',
  'access.request',
  'approval.answer',
  'approval.emergency',
  'approval.muted',
  'approval.revoke',
  'audit.who',
  'configuration.apply',
  'credential.mint',
  'credential.revoke',
  'identity.block',
  'journal.repaired',
  'login.attempt',
  'person.forget',
  'recording.erase',
  'recording.gap',
  'recording.read',
  'recording.removed',
  'secret.set',
  'session.end',
  'stream.missed',
] as const

/** Every kind of frame that a session has. */
const FRAMES: Readonly<Record<Exclude<Entry['kind'], 'open' | 'admin'>, Entry>> = {
  intent: intentEntry(1, { text: 'SELECT 1', decision: 'hold' }),
  hold: { kind: 'hold', head: { n: 1, ticket: 'T-7K2M9Q0A', expiresAt: 1_767_225_600_000 } },
  answer: { kind: 'answer', head: { n: 1, ticket: 'T-7K2M9Q0A', answer: 'approved', by: 'person:eve' } },
  result: { kind: 'result', head: { n: 1 }, body: Buffer.from('one row') },
  input: {
    kind: 'input',
    head: { n: 1, end: { how: 'done', bytes: 9, unkept: 2 } },
    body: Buffer.from('one row'),
    digest: Buffer.from('digest'),
  },
  notice: { kind: 'notice', head: { n: 1, code: '01000', message: 'a notice' } },
  outcome: outcomeEntry(1, {}, Buffer.from('the end')),
  close: closeEntry(1),
}

/** Each kind of entry of the log, and each kind of frame: edited, dropped, twice, in another place. */
export async function tamperWithKinds(corpus: Corpus): Promise<void> {
  const log = await RecordedLog.open()
  const places: [name: string, entry: number][] = []
  const entry = (name: string): void => void places.push([name, log.size])
  entry('open')
  const session = log.begin(0)
  for (const frame of Object.values(FRAMES)) {
    if (frame.kind === 'close') entry('close')
    log.frame(session, frame)
  }
  entry('segment')
  log.segment(session)
  for (const action of ACTIONS) {
    entry(action)
    log.admin({ action, by: 'person:ada@example.com', target: 'crm', details: detailsOf(action) })
  }
  entry('frame that is too long for an entry')
  log.raw({
    kind: 'frame',
    digest: Buffer.from(nodeSha256(Buffer.from('x'))).toString('base64'),
    bytes: 70_000,
  })
  entry('through')
  log.through()
  entry('file')
  log.seal(session)
  entry('key')
  log.raw({ kind: 'key', vkey: vkeyOf(NEXT_LOG_KEY) })
  await log.commit()
  const files = log.all()
  corpus.add('kinds: as they are', () => {}, undefined, { payloads: true }, files)
  for (const [name, place] of places) tamperWithEntry(corpus, files, name, place, log.size)
  tamperWithFrames(corpus, files, session)
}

function tamperWithEntry(corpus: Corpus, from: Files, name: string, place: number, size: number): void {
  const path = `log/tile/entries/000.p/${size}`
  const add = (
    what: string,
    change: (list: Uint8Array[]) => void,
    code: 'entry' | 'damaged' = 'entry',
    entry = place,
  ) =>
    corpus.add(
      `kinds: the entry ${name} ${what}`,
      (files) => {
        const list = decodeBundle(at(files, path))
        change(list)
        files.set(path, encodeBundle(list))
      },
      { code, path, ...(code === 'entry' ? { entry } : {}) },
      {},
      from,
    )
  const isLast = place === size - 1
  add('edited', (list) => flip(list[place] ?? new Uint8Array(1), 20))
  add('gone', (list) => void list.splice(place, 1))
  if (isLast) return
  add('twice', (list) => void list.splice(place, 0, list[place] ?? new Uint8Array(0)), 'entry', place + 1)
  add('behind the next one', (list) => void list.splice(place, 0, ...list.splice(place + 1, 1)))
}

function tamperWithFrames(corpus: Corpus, from: Files, session: SessionId): void {
  const path = fileOf(session)
  for (const [i, kind] of ['open', ...Object.keys(FRAMES)].entries()) {
    const add = (what: string, change: (list: Buffer[]) => Buffer[]): void =>
      corpus.add(
        `kinds: the frame ${kind} ${what}, checksum made right`,
        (files) => void files.set(path, withFirstChunk(at(files, path), change)),
        { code: 'frames', path, session },
        {},
        from,
      )
    const is = (list: Buffer[]): Buffer => list[i] ?? Buffer.alloc(0)
    // In its head, and not in its length: `"n":1` becomes `"n":0`, and so on.
    add('edited', (list) => list.with(i, edited(is(list))))
    add('gone', (list) => list.toSpliced(i, 1))
    add('twice', (list) => list.toSpliced(i, 0, is(list)))
    if (kind !== 'close')
      add('behind the next one', (list) => list.toSpliced(i, 2, list[i + 1] ?? Buffer.alloc(0), is(list)))
  }
}

/** Another letter in the middle of the head. */
function edited(part: Buffer): Buffer {
  const made = Buffer.from(part)
  const middle = 24 + (made.readUInt32LE(4) >> 1)
  for (let place = middle; place < made.length; place++) {
    const byte = made[place] ?? 0
    if ((byte < 0x61 || byte > 0x79) && (byte < 0x30 || byte > 0x38)) continue
    made[place] = byte + 1
    return made
  }
  throw new Error('a head has neither letters nor digits in its second half')
}

function detailsOf(action: (typeof ACTIONS)[number]): Readonly<Record<string, string | number>> {
  switch (action) {
    case 'recording.gap':
      return { first: 1_000, last: 1_001 }
    case 'recording.removed':
      return { payload: 'text', frames: '2', because: 'request', reason: 'case 4711' }
    default:
      return { ticket: 'T-7K2M9Q0A', reason: 'a disk is full' }
  }
}
