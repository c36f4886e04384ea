import { closeEntry, intentEntry, outcomeEntry } from './entries.ts'
import { fileOf, RecordedLog } from './recorded-log.ts'
import type { Tampering } from './tampering.ts'

/** Payloads that are not there any more, and what the log says of it. Frames of the session: 1 to 6. */
export async function removalVectors(): Promise<readonly Tampering[]> {
  return [
    await vector('told by ranges', [
      { payload: 'text', frames: '2,4' },
      { payload: 'body', frames: '3-5' },
    ]),
    await vector('told one by one', [
      { payload: 'text', sequence: 2 },
      { payload: 'text', sequence: 4 },
      { payload: 'body', frames: '1-9' },
    ]),
    await vector(
      'one of them not told',
      [
        { payload: 'text', frames: '2' },
        { payload: 'body', frames: '3-5' },
      ],
      4,
    ),
    await vector(
      'told of another payload',
      [
        { payload: 'text', frames: '2,4' },
        { payload: 'message', frames: '1-9' },
      ],
      3,
    ),
    await vector(
      'ranges that are none',
      [
        { payload: 'text', frames: '2,4,' },
        { payload: 'body', frames: '3-5' },
      ],
      2,
    ),
    await vector(
      'a range of words',
      [
        { payload: 'text', frames: 'all' },
        { payload: 'body', frames: '3-5' },
      ],
      2,
    ),
    await vector(
      'told of another session',
      [
        { payload: 'text', frames: '1-9' },
        { payload: 'body', frames: '1-9' },
      ],
      2,
      true,
    ),
  ]
}

async function vector(
  name: string,
  told: readonly { readonly payload: string; readonly frames?: string; readonly sequence?: number }[],
  sequence?: number,
  ofOther = false,
): Promise<Tampering> {
  const log = await RecordedLog.open()
  const session = log.begin(0)
  log.frame(session, intentEntry(1), ['text'])
  log.frame(session, outcomeEntry(1, {}, Buffer.from('one')), ['body'])
  log.frame(session, intentEntry(2), ['text'])
  log.frame(session, outcomeEntry(2, {}, Buffer.from('two')), ['body'])
  log.frame(session, closeEntry(2))
  const other = log.begin(1)
  log.frame(other, closeEntry(0))
  for (const each of [session, other]) log.segment(each)
  log.through()
  for (const each of [session, other]) log.seal(each)
  await log.commit()
  for (const details of told) {
    const target = ofOther ? other : session
    log.admin({
      action: 'recording.removed',
      by: 'person:eve',
      target,
      details: { because: 'request', ...details },
    })
  }
  log.through()
  await log.commit()
  const files = log.all()
  // What was being written when the process died says nothing.
  files.set(`${fileOf(session)}.new`, Buffer.from('SLUICER2'))
  return {
    name: `erased: ${name}`,
    files,
    given: { payloads: true },
    expected:
      sequence === undefined ? undefined : { code: 'payload', path: fileOf(session), session, sequence },
  }
}
