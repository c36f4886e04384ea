import { formatEvidence, nodePrimitives, payloadReader, proveFrames } from '../audit/index.ts'
import type { SessionId } from '../core/index.ts'
import { closeEntry, intentEntry, outcomeEntry } from './entries.ts'
import { filesSource } from './files-source.ts'
import { fileOf, type Files, RecordedLog } from './recorded-log.ts'
import { testKeys } from './recording-keys.ts'
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
      { ofOther: true },
    ),
    ...(await restoredVectors()),
  ]
}

/** An older copy of the file is there again, or never went: with the key and without. */
async function restoredVectors(): Promise<readonly Tampering[]> {
  const told = [
    { payload: 'text', frames: '2,4' },
    { payload: 'body', frames: '3-5' },
  ]
  const [gone, there] = [{ there: [] }, { there: ['body'] }]
  const all = { there: ['text', 'body'] }
  return [
    await vector('nobody has the key', told, undefined, { ...gone, keyless: true }),
    await vector('all is there again', told, 2, all),
    await vector('all is there again, and nobody has the key', told, 2, { ...all, keyless: true }),
    await vector('some is there again', told, 3, there),
    await vector('some is there again, and nobody has the key', told, 2, { ...there, keyless: true }),
    await vector('all is there again, and something lies beside it', told, 2, { ...all, later: 70 }),
    await vector('the file that takes its place lies beside it', told, undefined, { ...all, later: 50 }),
    await vector('it was to be replaced and was not', told, 2, { ...all, isBegun: false }),
  ]
}

type Told = { readonly payload: string; readonly frames?: string; readonly sequence?: number }

type Rest = {
  /** The log tells it of another session. */
  readonly ofOther?: boolean
  /** What is there all the same. */
  readonly there?: readonly string[]
  readonly keyless?: boolean
  /** Whether a file that was being written lies beside it. */
  readonly isBegun?: boolean
  /** So many frames, a second each, come after. */
  readonly later?: number
}

/** An evidence file of a session whose texts were erased, and ways to have it say so of more, or with less to show for it. */
export async function erasedEvidence(): Promise<{
  readonly text: string
  readonly changed: readonly (readonly [name: string, text: string])[]
}> {
  const { files, session } = await recorded([{ payload: 'text', frames: '2-4' }], { there: ['body'] })
  const source = filesSource(files)
  const payloads = payloadReader(testKeys)
  const text = formatEvidence(await proveFrames({ source, primitives: nodePrimitives, session, payloads }))
  const shown = /"salt":"[^"]*","bytes":"[^"]*"/
  const told = /,\{"index":\d+,"entry":"[^}]*\\"part\\"[^}]*\}","proof":\[[^\]]*\]\}(?=\],"frames")/
  return {
    text,
    changed: [
      ['what is shown is called removed', text.replace(shown, '"state":"removed"')],
      ['what the log says is left out', text.replace(told, '')],
      ['it is said of another session', text.replace(session, `${session.slice(0, -1)}0`)],
    ],
  }
}

async function vector(
  name: string,
  told: readonly Told[],
  sequence?: number,
  rest: Rest = {},
): Promise<Tampering> {
  const { files, session } = await recorded(told, rest)
  return {
    name: `erased: ${name}`,
    files,
    given: rest.keyless === true ? {} : { payloads: true },
    expected:
      sequence === undefined ? undefined : { code: 'payload', path: fileOf(session), session, sequence },
  }
}

async function recorded(
  told: readonly Told[],
  { ofOther = false, there = [], isBegun = true, later = 70 }: Rest,
): Promise<{ readonly files: Files; readonly session: SessionId }> {
  const gone = (payload: string): readonly string[] => (there.includes(payload) ? [] : [payload])
  const log = await RecordedLog.open()
  const session = log.begin(0)
  log.frame(session, intentEntry(1), gone('text'))
  log.frame(session, outcomeEntry(1, {}, Buffer.from('one')), gone('body'))
  log.frame(session, intentEntry(2), gone('text'))
  log.frame(session, outcomeEntry(2, {}, Buffer.from('two')), gone('body'))
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
  for (let i = 0; i < later; i++) log.admin({ action: 'access.request', by: 'person:eve' })
  log.through()
  await log.commit()
  const files = log.all()
  // What was being written when the process died says nothing.
  if (isBegun) files.set(`${fileOf(session)}.new`, Buffer.from('SLUICER2'))
  return { files, session }
}
