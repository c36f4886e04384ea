import { statSync } from 'node:fs'
import type { Command } from 'commander'
import { LIMITS } from '../../core/index.ts'
import { isEndpoint, placeIn } from '../../config/index.ts'
import type { Bucket } from '../../recording/index.ts'
import type { Common } from '../context.ts'
import { print, UsageError } from '../context.ts'
import { bucketAuditSource } from './bucket-source.ts'
import { parseDuration } from '../durations.ts'
import { collected, logKeys, masterKeys, readGiven, witnessKeys } from './keys.ts'
import { policyCheck, policyExit, policyText } from './policy.ts'
import { journalTail } from './tail.ts'
import { evidenceAnswer, evidenceText, progressLine, verdictAnswer, verdictText } from './report.ts'

/**
 * Exit codes beside those of every command (0 only for a proof): what was asked for is not sealed yet, so that nothing
 * is wrong and nothing of it is proved.
 */
const NOT_YET = 3
const PROGRESS_MS = 200
const FETCH_MS_MAX = 24 * 60 * 60 * 1000

type VerifyFlags = Common & {
  readonly key: readonly string[]
  readonly keyFile?: string
  readonly witness: readonly string[]
  readonly witnessesNeeded?: string
  readonly session?: string
  readonly since?: string
  readonly masterKey?: string
  readonly policy?: string
  readonly endpoint?: string
  readonly region?: string
  readonly pathStyle?: boolean
  readonly fetchTimeout?: string
}

export function addVerifyCommand(group: Command): void {
  group
    .command('verify')
    .argument('<path>', 'a data directory or a copy of one, its URL, s3://BUCKET/PREFIX, or an evidence file')
    .description('whether it is what was recorded, by public keys alone; exit code 0 only for a proof')
    .option('--key <vkey>', 'the public key of the log; may be given more than once', collected, [])
    .option('--key-file <file>', 'public keys of the log, one a line')
    .option('--witness <vkey>', 'the public key of a witness; may be given more than once', collected, [])
    .option('--witnesses-needed <count>', 'how many of them must have cosigned; all by default')
    .option('--session <id>', 'this session only')
    .option('--since <file>', 'a signed checkpoint from earlier: the log must begin with it')
    .option('--master-key <file>', 'holds payloads against their commitments, too; SLUICE_KEY by default')
    .option(
      '--policy <file>',
      'whether proved decisions are what this configuration gives; takes the master key',
    )
    .option('--endpoint <url>', 's3: the URL of a store other than AWS\u2019s')
    .option('--region <name>', 's3: the region of the bucket; else what the environment says')
    .option('--path-style', 's3: the bucket stands in the path; so it does with --endpoint')
    .option(
      '--fetch-timeout <duration>',
      'of a URL: what one file may take, to its last byte; 10m by default',
    )
    .action(async (path: string, flags: VerifyFlags) => {
      const given = {
        keys: logKeys(flags),
        witnesses: witnessKeys(flags.witness),
        ...needed(flags),
      }
      if (isFile(path)) await verifyFile(path, flags, given)
      else await verifyTree(path, flags, given)
    })
}

type Given = {
  readonly keys: ReturnType<typeof logKeys>
  readonly witnesses: ReturnType<typeof witnessKeys>
  readonly witnessesNeeded?: number
}

async function verifyFile(path: string, flags: VerifyFlags, given: Given): Promise<void> {
  if (flags.session !== undefined || flags.since !== undefined || flags.policy !== undefined)
    throw new UsageError('--session, --since and --policy are for recordings, not for an evidence file.')
  const { nodePrimitives, parseEvidence, verifyEvidence } = await import('../../audit/index.ts')
  const evidence = parseEvidence(readGiven(path, LIMITS.evidenceBytesMax))
  const verdict = await verifyEvidence({ evidence, primitives: nodePrimitives, ...given })
  print(flags, evidenceAnswer(verdict), () => evidenceText(verdict))
  if (!verdict.proved) process.exitCode = 1
}

async function verifyTree(path: string, flags: VerifyFlags, given: Given): Promise<void> {
  const audit = await import('../../audit/index.ts')
  const keys = await masterKeys(flags.masterKey, path)
  const isUrl = /^(https?|s3):\/\//.test(path)
  if (flags.policy !== undefined && (keys === undefined || isUrl))
    throw new UsageError('--policy reads statements: give a directory, and the master key.')
  const bucket = path.startsWith('s3://') ? await openBucket(path, flags) : undefined
  const webOrDisk = () =>
    isUrl ? audit.urlAuditSource(path, fetchMs(flags)) : audit.directoryAuditSource(path)
  const { onProgress, done } = progress(flags)
  try {
    const verdict = await audit.verifyRecording({
      source: bucket === undefined ? webOrDisk() : bucketAuditSource(bucket),
      primitives: audit.nodePrimitives,
      ...given,
      ...(flags.session === undefined ? {} : { session: flags.session }),
      ...(flags.since === undefined ? {} : { since: readGiven(flags.since, LIMITS.noteBytesMax) }),
      ...(keys === undefined ? {} : { payloads: audit.payloadOpener(keys.recording) }),
      ...(keys === undefined || isUrl ? {} : { journal: audit.journalFrames(path, keys.recording) }),
      onProgress,
    })
    done()
    const tail =
      keys === undefined || isUrl || verdict.log === undefined || flags.session !== undefined
        ? undefined
        : await journalTail(path, keys.recording, verdict.through?.sequence ?? 0)
    const policy =
      flags.policy === undefined || keys === undefined
        ? undefined
        : await policyCheck(path, flags.policy, keys.recording, verdict)
    const answer = verdictAnswer(verdict, tail)
    print(flags, policy === undefined ? answer : { ...answer, policy }, () =>
      [
        verdictText(verdict, tail),
        ...(policy === undefined ? [] : ['', policyText(flags.policy, policy)]),
      ].join('\n'),
    )
    if (!verdict.proved) process.exitCode = verdict.failureCount > 0 ? 1 : NOT_YET
    else if (policy !== undefined) process.exitCode = policyExit(policy)
  } finally {
    done()
    bucket?.close()
  }
}

/** Who asks is what the SDK finds in the environment, as for every tool of AWS. */
async function openBucket(path: string, { endpoint, region, pathStyle }: VerifyFlags): Promise<Bucket> {
  const place = placeIn(path)
  if (place === undefined) throw new UsageError('Write the place of a recording like s3://BUCKET/PREFIX.')
  if (endpoint !== undefined && !isEndpoint(endpoint))
    throw new UsageError(
      '--endpoint takes a URL that begins with https://; plain http is accepted for this machine only.',
    )
  const { openS3 } = await import('../../recording/index.ts')
  const settings = {
    ...place,
    endpoint,
    region: region ?? (endpoint === undefined ? undefined : 'us-east-1'),
  }
  return await openS3({ ...settings, pathStyle: pathStyle ?? endpoint !== undefined })
}

/** One line on a terminal, written over and over; nothing elsewhere. */
function progress(flags: Common) {
  const isShown = process.stderr.isTTY && flags.json !== true
  let last = 0
  let shown = false
  return {
    onProgress: (now: Parameters<typeof progressLine>[0]): void => {
      if (!isShown || Date.now() - last < PROGRESS_MS) return
      last = Date.now()
      shown = true
      process.stderr.write(`\r\u001b[K${progressLine(now)}`)
    },
    done: (): void => {
      if (shown) process.stderr.write('\r\u001b[K')
      shown = false
    },
  }
}

function fetchMs({ fetchTimeout }: VerifyFlags): number {
  const ms = fetchTimeout === undefined ? LIMITS.auditFetchMs : parseDuration(fetchTimeout)
  if (ms > 0 && ms <= FETCH_MS_MAX) return ms
  throw new UsageError('--fetch-timeout takes from 1ms to 24h.')
}

function needed({ witness, witnessesNeeded }: VerifyFlags): { readonly witnessesNeeded?: number } {
  if (witnessesNeeded === undefined) return {}
  const count = Number(witnessesNeeded)
  if (!/^[0-9]+$/.test(witnessesNeeded) || count > witness.length)
    throw new UsageError('--witnesses-needed takes a number, at most that of the witnesses given.')
  return { witnessesNeeded: count }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}
