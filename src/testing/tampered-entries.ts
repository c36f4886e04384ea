import type { SessionId } from '../core/index.ts'
import { closeEntry } from './entries.ts'
import { type Files, RecordedLog } from './recorded-log.ts'
import { UNEQUAL_JSON } from './tampered-json.ts'
import type { Tampering } from './tampering.ts'

/** The last bundle of a small log. */
const bundleOf = (size: number): string => `log/tile/entries/000.p/${size}`

/**
 * What the log's own key signed and no gateway writes: the tree is right, and what its entries say cannot be. Each is a
 * log of its own.
 */
export async function impossibleLogs(): Promise<Tampering[]> {
  const vectors: Tampering[] = []
  const add = async (
    name: string,
    code: 'order' | 'unreadable',
    last: (log: RecordedLog, session: SessionId) => Promise<number> | number,
  ): Promise<void> => {
    const log = await RecordedLog.open()
    const session = log.begin(0)
    log.segment(session)
    log.through()
    const entry = await last(log, session)
    await log.commit()
    const files: Files = log.all()
    vectors.push({
      name: `signed: ${name}`,
      files,
      given: {},
      expected: { code, path: bundleOf(log.size), entry },
    })
  }
  const raw = (entry: (session: SessionId) => object) => (log: RecordedLog, session: SessionId) => {
    log.raw(entry(session))
    return log.size - 1
  }
  const root = Buffer.alloc(32).toString('base64')
  await add(
    'a segment twice',
    'order',
    raw((session) => ({ kind: 'segment', session, first: 1, last: 1, frames: 1, root })),
  )
  await add(
    'a segment that overlaps one before it',
    'order',
    raw((session) => ({ kind: 'segment', session, first: 1, last: 3, frames: 2, root })),
  )
  await add(
    'a segment of a session that was never opened',
    'order',
    raw((session) => ({
      kind: 'segment',
      session: `${session.slice(0, -1)}0`,
      first: 3,
      last: 3,
      frames: 1,
      root,
    })),
  )
  await add(
    'a file with other frames than its segments',
    'order',
    raw((session) => ({ kind: 'file', session, frames: 2, first: 1, last: 2 })),
  )
  await add('a file before its segments', 'order', (log, session) => {
    const first = log.frame(session, closeEntry(0))
    log.raw({ kind: 'file', session, frames: 2, first: 1, last: first })
    return log.size - 1
  })
  await add('a file twice', 'order', (log, session) => {
    log.seal(session)
    log.seal(session)
    return log.size - 1
  })
  await add(
    'less far than before',
    'order',
    raw(() => ({ kind: 'through', sequence: 1, time: 1 })),
  )
  await add('an administrative frame twice', 'order', (log) => {
    log.admin({ action: 'secret.set', by: 'person:ada@example.com' })
    log.raw(JSON.parse(Buffer.from(log.last).toString()) as object)
    return log.size - 1
  })
  await add('a session opened twice', 'order', async (log) => {
    const session = log.begin(1)
    log.raw(JSON.parse(Buffer.from(log.last).toString()) as object)
    log.segment(session)
    return log.size - 2
  })
  await add('a session closed twice', 'order', (log, session) => {
    log.frame(session, closeEntry(0))
    log.raw(JSON.parse(Buffer.from(log.last).toString()) as object)
    return log.size - 1
  })
  await add(
    'a kind of entry that nobody knows',
    'unreadable',
    raw(() => ({ kind: 'note' })),
  )
  for (const [name, more] of UNEQUAL_JSON)
    await add(`JSON with ${name}`, 'unreadable', (log) => {
      log.bytes(Buffer.from(`{"kind":"through","sequence":9,"time":9,${more}}`))
      return log.size - 1
    })
  await add('a head with a name twice', 'unreadable', (log) => {
    log.admin({ action: 'recording.deleted', by: 'x' })
    const entry: unknown = JSON.parse(Buffer.from(log.last).toString())
    const { part } = entry as { readonly part: string }
    const bytes = Buffer.from(part, 'base64')
    const head = Buffer.from('{"action":"recording.deleted","target":"a","target":"b"}')
    const made = Buffer.concat([bytes.subarray(0, 24), head])
    made.writeUInt32LE(head.length, 4)
    made.writeUInt8(made.readUInt8(8) + 1, 8)
    log.raw({ kind: 'frame', part: made.toString('base64') })
    return log.size - 1
  })
  await add('no JSON', 'unreadable', (log) => {
    log.bytes(Buffer.from('through'))
    return log.size - 1
  })
  await add(
    'a root of 31 bytes',
    'unreadable',
    raw((session) => ({
      kind: 'segment',
      session,
      first: 3,
      last: 3,
      frames: 1,
      root: Buffer.alloc(31).toString('base64'),
    })),
  )
  await add(
    'more frames than the range has',
    'unreadable',
    raw((session) => ({ kind: 'segment', session, first: 3, last: 4, frames: 3, root })),
  )
  await add(
    'a session id that would be a path',
    'unreadable',
    raw(() => ({ kind: 'file', session: '../../../../../etc/passwd', frames: 1, first: 3, last: 3 })),
  )
  await add(
    'a part that is no frame',
    'unreadable',
    raw(() => ({ kind: 'frame', part: 'AAAA' })),
  )
  await add(
    'a key that is none',
    'unreadable',
    raw(() => ({ kind: 'key', vkey: 'gateway.example/log+00000000+AAAA' })),
  )
  return vectors
}
