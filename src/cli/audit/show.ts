import type { Command } from 'commander'
import type { Common } from '../context.ts'
import { print } from '../context.ts'
import { LIMITS } from '../../core/index.ts'
import { formatEntry } from '../../recording/index.ts'
import { collected, logKeys, masterKeys, readGiven, witnessKeys } from './keys.ts'
import { evidenceAnswer, evidenceText } from './report.ts'

type ShowFlags = Common & {
  readonly key: readonly string[]
  readonly keyFile?: string
  readonly witness: readonly string[]
  readonly masterKey?: string
}

export function addShowCommand(group: Command): void {
  group
    .command('show')
    .argument('<evidence>', 'an evidence file')
    .description('verify an evidence file, and print what it holds; nothing of one that is not proved')
    .option('--key <vkey>', 'the public key of the log; may be given more than once', collected, [])
    .option('--key-file <file>', 'public keys of the log, one a line')
    .option('--witness <vkey>', 'the public key of a witness that must have cosigned', collected, [])
    .option('--master-key <file>', 'opens sealed values that are in it; SLUICE_KEY by default')
    .action(show)
}

async function show(path: string, flags: ShowFlags): Promise<void> {
  const { evidenceEntries, nodePrimitives, parseEvidence, verifyEvidence } = await import(
    '../../audit/index.ts'
  )
  const [keys, witnesses] = [logKeys(flags), witnessKeys(flags.witness)]
  const evidence = parseEvidence(readGiven(path, LIMITS.evidenceBytesMax))
  const verdict = await verifyEvidence({ evidence, primitives: nodePrimitives, keys, witnesses })
  if (!verdict.proved) {
    print(flags, evidenceAnswer(verdict), () => evidenceText(verdict))
    process.exitCode = 1
    return
  }
  const master = await masterKeys(flags.masterKey, flags.data)
  const entries = evidenceEntries(evidence, master?.recording)
  print(
    flags,
    {
      ...evidenceAnswer(verdict),
      entries: entries.map(({ recorded: { sequence, time, entry, erased = [] }, hidden }) => ({
        sequence,
        time,
        kind: entry.kind,
        head: entry.head,
        ...('body' in entry && entry.body !== undefined
          ? { body: Buffer.from(entry.body).toString('base64') }
          : {}),
        erased,
        hidden,
      })),
    },
    () =>
      [
        evidenceText(verdict),
        '',
        ...entries.flatMap(({ recorded, hidden }) => [
          `${recorded.sequence}  ${formatEntry(recorded)}`,
          ...(hidden.length === 0 ? [] : [`${' '.repeat(14)}| (not shown here: ${hidden.join(', ')})`]),
        ]),
      ].join('\n'),
  )
}
