import { formatEvidence, nodePrimitives, proveFrames } from '../audit/index.ts'
import type { SignerKey } from '../evidence/index.ts'
import { closeEntry } from './entries.ts'
import { filesSource } from './files-source.ts'
import { LOG_KEY, NEXT_LOG_KEY, RecordedLog, vkeyOf } from './recorded-log.ts'
import { keyOf } from './witnessed-log.ts'

/** An evidence file of a log whose key has changed twice, and its keys, the first one first. */
export async function rotatedEvidence(): Promise<{
  readonly text: string
  readonly keys: readonly SignerKey[]
}> {
  const keys = [LOG_KEY, NEXT_LOG_KEY, keyOf('gateway.example/log', 4)] as const
  const log = await RecordedLog.open()
  const session = log.begin(0)
  log.frame(session, closeEntry(0))
  log.segment(session)
  log.through()
  log.seal(session)
  await log.commit()
  let now = log
  for (const [before, next] of [
    [keys[0], keys[1]],
    [keys[1], keys[2]],
  ] as const) {
    now.raw({ kind: 'key', vkey: vkeyOf(next) })
    const last = await now.commit()
    log.storage.pieces.set(`checkpoint.${before.key.id.toString(16).padStart(8, '0')}`, last)
    now = await RecordedLog.open(next, log.storage, [before])
    now.raw({ kind: 'through', sequence: 100 + now.size, time: 1_769_861_348_000 })
    await now.commit()
  }
  const source = filesSource(log.all())
  const evidence = await proveFrames({ source, primitives: nodePrimitives, session })
  return { text: formatEvidence(evidence), keys }
}
