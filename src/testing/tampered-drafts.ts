import type { SessionId } from '../core/index.ts'
import { closeEntry, intentEntry } from './entries.ts'
import { draftOf, fileOf, type Files, RecordedLog } from './recorded-log.ts'
import { header } from './tampered-others.ts'
import { at, type Corpus, flip, type Tampering } from './tampering.ts'

/** Sessions that are not sealed yet: their frames are in a draft, in the journal, or lost. */
export async function tamperWithDrafts(corpus: Corpus): Promise<readonly Tampering[]> {
  const { live: session } = corpus.sample
  const [draft, path] = [draftOf(session), fileOf(session)]
  const lost = { code: 'missing', path, session, sequence: 548 } as const
  const noJournal = { code: 'damaged', path: 'journal/00000001.slj' } as const
  const inJournal =
    (...begins: readonly number[]) =>
    (files: Files): void => {
      files.delete(draft)
      begins.forEach((first, i) => files.set(`journal/0000000${i + 1}.slj`, header(i + 1, first)))
    }
  corpus.add('open session: in no draft and no journal', inJournal(), lost)
  corpus.add('open session: in the journal', inJournal(1), undefined)
  corpus.add('open session: the journal begins behind it', inJournal(549), lost)
  corpus.add('open session: in the first of two files of the journal', inJournal(548, 600), undefined)
  corpus.add(
    'open session: the header of the journal file is damaged',
    (files) => {
      inJournal(1)(files)
      flip(at(files, 'journal/00000001.slj'), 20)
    },
    noJournal,
  )
  corpus.add(
    'open session: the journal file is of an earlier format',
    (files) => {
      inJournal(1)(files)
      at(files, 'journal/00000001.slj').set(Buffer.from('SLUICEJ1'))
    },
    noJournal,
  )
  corpus.add(
    'open session: its draft is cut off',
    (files) => {
      files.set(draft, at(files, draft).slice(0, -1))
    },
    lost,
  )
  corpus.add(
    'open session: sealed since',
    (files) => {
      files.set(path, at(files, draft))
      files.delete(draft)
    },
    undefined,
  )
  corpus.add(
    'open session: the draft of another one',
    (files) => {
      files.set(draft, at(files, fileOf(corpus.sample.short)))
    },
    { code: 'foreign', path: draft, session },
  )
  return [await gap('lost', false), await gap('whole in its file', true)]
}

/** A journal that was lost: the log says so, and has frames of a session, with or without a file. */
async function gap(name: string, isSealed: boolean): Promise<Tampering> {
  const log = await RecordedLog.open()
  const session: SessionId = log.begin(0)
  log.frame(session, intentEntry(1))
  if (isSealed) log.frame(session, closeEntry(1))
  log.segment(session)
  const last = log.sequence
  log.through()
  if (isSealed) log.seal(session)
  await log.commit()
  const entry = log.size
  log.admin({ action: 'recording.gap', by: 'gateway', details: { first: 1, last } })
  log.through()
  await log.commit()
  const files = log.all()
  files.delete(draftOf(session))
  files.set('journal/00000001.slj', header(1, 1))
  const path = `log/tile/entries/000.p/${log.size}`
  return {
    name: `gap: a session that is ${name}`,
    files,
    given: {},
    expected: isSealed ? undefined : { code: 'gap', path, entry, sequence: 1 },
  }
}
