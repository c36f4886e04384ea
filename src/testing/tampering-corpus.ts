import { sampleRecording, type SampleRecording } from './sample-recording.ts'
import { tamperWithDrafts } from './tampered-drafts.ts'
import { impossibleLogs } from './tampered-entries.ts'
import { tamperWithFiles } from './tampered-files.ts'
import { tamperWithLog } from './tampered-logs.ts'
import { tamperWithKinds } from './tampered-kinds.ts'
import { tamperWithOthers } from './tampered-others.ts'
import { removalVectors } from './tampered-removals.ts'
import { Corpus, type Tampering } from './tampering.ts'

/** Every way to tamper with a recording that verifiers are held against: each must fail, and in the right place. */
export async function tamperingCorpus(): Promise<{
  readonly sample: SampleRecording
  readonly vectors: readonly Tampering[]
}> {
  const sample = await sampleRecording()
  const corpus = new Corpus(sample)
  corpus.add('nothing', () => {}, undefined)
  await tamperWithLog(corpus)
  tamperWithFiles(corpus)
  tamperWithOthers(corpus)
  await tamperWithKinds(corpus)
  const gaps = await tamperWithDrafts(corpus)
  return {
    sample,
    vectors: [...corpus.vectors, ...gaps, ...(await impossibleLogs()), ...(await removalVectors())],
  }
}
