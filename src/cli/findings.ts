import { LIMITS } from '../core/index.ts'

/** One thing that `sluice doctor` found. */
export type Finding = {
  readonly level: 'ok' | 'warning' | 'problem' | 'note'
  readonly about: string
  readonly message: string
  readonly remedy?: string | undefined
}

/**
 * Which keys the files of the recording need, by id, against those that the gateway has; the
 * first of these is for new files. Without a gateway that answers: what is needed.
 */
export function recordingFindings(
  use: ReadonlyMap<string, number>,
  has: readonly string[] | undefined,
): readonly Finding[] {
  const about = 'recording'
  const needed = [...use].map(([id, files]) => ({ id, files }))
  const findings: Finding[] = []
  if (has === undefined) {
    if (needed.length > 0) {
      const keys = needed.map(({ id, files }) => `${id} (${filesOf(files)})`).join(', ')
      findings.push({ level: 'note', about, message: `To be read it needs the master keys ${keys}.` })
    }
  } else {
    const [current, ...others] = has
    const used = others.filter((id) => use.has(id))
    const unused = others.filter((id) => !use.has(id))
    const older = used.length === 0 ? '' : ` Older files need ${used.join(', ')}.`
    findings.push({
      level: 'ok',
      about,
      message: `New files are encrypted under the key ${current}.${older}`,
    })
    if (unused.length > 0) {
      findings.push({
        level: 'note',
        about,
        message: `No file of the recording needs ${unused.join(', ')} any more.`,
      })
    }
    for (const { id, files } of needed.filter((each) => !has.includes(each.id))) {
      findings.push({
        level: 'problem',
        about,
        message: `${filesOf(files)} of the recording cannot be read: the key ${id} is not given.`,
        remedy: 'Add that key after the present one, in the key file or in SLUICE_KEY.',
      })
    }
  }
  return findings
}

function filesOf(count: number): string {
  return count === 1 ? '1 file' : `${count} files`
}

/** What the gateway says of its log. */
export type LogStatus = {
  readonly key?: string | undefined
  readonly entries: number
  readonly lagFrames: number
  readonly lagMs: number
  readonly fault?: { readonly message: string; readonly remedy?: string | undefined } | undefined
  readonly stopped: boolean
  readonly witnesses: { readonly cosigned: readonly string[]; readonly failed: readonly string[] }
  readonly gap?: { readonly first: number; readonly last: number } | undefined
}

/** What the gateway says of an outlet. */
export type OutletStatus = {
  readonly name: string
  readonly lagFrames: number
  readonly missed: number
  readonly parked: boolean
  readonly fault?: { readonly message: string; readonly remedy?: string | undefined } | undefined
}

export function outletFindings(outlets: readonly OutletStatus[]): readonly Finding[] {
  return outlets.flatMap(({ name, lagFrames, missed, parked, fault }) => {
    const about = `outlet ${name}`
    const findings: Finding[] = []
    if (fault !== undefined) {
      const waiting = `${lagFrames === 1 ? '1 entry waits' : `${lagFrames} entries wait`} for it.`
      findings.push({
        level: parked ? 'problem' : 'warning',
        about,
        message: `${fault.message} ${waiting}`,
        remedy: fault.remedy,
      })
    } else findings.push({ level: 'ok', about, message: 'It takes events.' })
    if (missed > 0) {
      findings.push({
        level: 'warning',
        about,
        message: `It will never get ${missed === 1 ? '1 entry' : `${missed} entries`} by itself.`,
        remedy:
          'Which ones stands in the recording (stream.missed). Get them with: sluice sessions export ID --format ocsf',
      })
    }
    return findings
  })
}

/** What the gateway says of a channel that people are told of requests through. */
export type ChannelStatus = {
  readonly name: string
  readonly waiting: number
  readonly undelivered: number
  readonly fault?: string | undefined
}

export function channelFindings(channels: readonly ChannelStatus[]): readonly Finding[] {
  return channels.flatMap(({ name, waiting, undelivered, fault }) => {
    const about = `channel ${name}`
    const findings: Finding[] = []
    if (fault === undefined)
      findings.push({ level: 'ok', about, message: 'Nothing has failed on it lately.' })
    else {
      const left = `${waiting === 1 ? '1 message waits' : `${waiting} messages wait`} for it.`
      findings.push({
        level: 'problem',
        about,
        message: `People are not told through it: ${fault} ${left}`,
        remedy: 'Requests wait all the same; see them with: sluice approvals ls',
      })
    }
    if (undelivered > 0) {
      const were = undelivered === 1 ? '1 message was' : `${undelivered} messages were`
      findings.push({
        level: 'warning',
        about,
        message: `${were} given up since the gateway has started.`,
        remedy:
          'Of which requests stands in the log of administration: sluice audit log --action notification.undelivered',
      })
    }
    return findings
  })
}

/** What the gateway says of its object store. */
export type BucketStatus = {
  readonly place: string
  readonly waitingFiles: number
  readonly waitingBytes: number
  readonly spoolBytes: number
  readonly spoolBytesMax: number
  readonly refused: number
  readonly undeleted: number
  readonly fault?: { readonly message: string; readonly remedy?: string | undefined } | undefined
}

export function bucketFindings(store: BucketStatus | undefined): readonly Finding[] {
  if (store === undefined) return []
  const about = 'object store'
  const { place, waitingFiles, waitingBytes, spoolBytes, spoolBytesMax, refused, undeleted, fault } = store
  const findings: Finding[] = []
  const waiting = `${waitingFiles === 1 ? '1 session file waits' : `${waitingFiles} session files wait`} (${bytesText(waitingBytes)}).`
  if (fault !== undefined)
    findings.push({ level: 'problem', about, message: `${fault.message} ${waiting}`, remedy: fault.remedy })
  else findings.push({ level: 'ok', about, message: `${place} takes what is sealed. ${waiting}` })
  if (refused > 0) {
    findings.push({
      level: 'problem',
      about,
      message: `Of ${refused === 1 ? '1 session' : `${refused} sessions`} the store has something else than the gateway, or the file here is damaged: nothing was overwritten.`,
      remedy: 'Which ones stands in the log of the gateway. Find out who else writes into the bucket.',
    })
  }
  if (undeleted > 0) {
    findings.push({
      level: 'warning',
      about,
      message: `${undeleted === 1 ? '1 session that was' : `${undeleted} sessions that were`} deleted here by retention could not be deleted there.`,
      remedy: 'Let the gateway delete below its prefix (s3:DeleteObject). It is tried again every hour.',
    })
  }
  if (spoolBytes > spoolBytesMax) {
    findings.push({
      level: 'warning',
      about,
      message: `${bytesText(spoolBytes)} of session files are here, more than recording.store.spool allows (${bytesText(spoolBytesMax)}): only what is in the store is removed.`,
      remedy:
        'Once the store takes files again this goes by itself. Until then watch the disk: a full one stops the gateway.',
    })
  }
  return findings
}

/** What the gateway says of a store that it shares with others. */
export type SharedStatus = {
  readonly node: string
  readonly behindMs: number
  readonly clockAheadMs: number
  readonly nodes?:
    | readonly { readonly node: string; readonly version: string; readonly isRunning: boolean }[]
    | undefined
}

/** Nothing for a store that is the gateway's own. */
export function storeFindings(shared: SharedStatus | undefined): readonly Finding[] {
  if (shared === undefined) return []
  const about = 'store'
  const { node, behindMs, clockAheadMs, nodes } = shared
  const findings: Finding[] = []
  if (nodes === undefined || behindMs > LIMITS.storeBehindMs) {
    findings.push({
      level: 'problem',
      about,
      message: `The node ${node} has not seen for ${Math.round(behindMs / 1000)} s what others changed: no session is opened.`,
      remedy: 'Why stands in the log of the gateway. Look whether the database answers: psql DSN',
    })
  }
  if (nodes !== undefined) {
    const running = nodes.filter(({ isRunning }) => isRunning)
    findings.push({
      level: 'ok',
      about,
      message: `This is the node ${node}, of ${running.length} that run${running.length === 1 ? 's' : ''}.`,
    })
    const versions = [...new Set(running.map(({ version }) => version))]
    if (versions.length > 1) {
      findings.push({
        level: 'warning',
        about,
        message: `Nodes of several versions run: ${versions.join(', ')}.`,
        remedy: 'Bring all of them to the newest; until then no older one can be started again.',
      })
    }
  }
  if (Math.abs(clockAheadMs) > LIMITS.clockSkewMs) {
    findings.push({
      level: 'warning',
      about,
      message: `The clock here is ${Math.abs(clockAheadMs)} ms ${clockAheadMs > 0 ? 'behind' : 'ahead of'} that of the store: credentials and tickets end by so much ${clockAheadMs > 0 ? 'late' : 'early'}.`,
      remedy: 'Synchronise the clocks of all machines (NTP).',
    })
  }
  return findings
}

/** What the gateway says of holds and erasures. */
export type RetentionStatus = {
  /** Holds that no recording is under. */
  readonly emptyHolds: readonly string[]
  readonly erasuresWaiting: number
}

export function retentionFindings({ emptyHolds, erasuresWaiting }: RetentionStatus): readonly Finding[] {
  const about = 'retention'
  const findings: Finding[] = emptyHolds.map((each) => ({
    level: 'warning',
    about,
    message: `The legal hold on ${each} holds nothing: no recording is of that name.`,
    remedy: 'If recordings should be held by it, look at the name again: recording.retention.hold.',
  }))
  if (erasuresWaiting > 0) {
    findings.push({
      level: 'note',
      about,
      message: `${erasuresWaiting === 1 ? '1 erasure waits' : `${erasuresWaiting} erasures wait`}: a journal file, an outlet or a legal hold still keeps what is to be erased.`,
    })
  }
  return findings
}

/** In the largest unit with a whole number before it: `12.5 MiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const at = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** at
  return `${at === 0 ? value : value.toFixed(1)} ${units[at]}`
}

/** A sealer that is further behind is not keeping up. */
const LAG_MS_MAX = 10_000

export function logFindings(log: LogStatus): readonly Finding[] {
  const about = 'log'
  const { fault, stopped, lagFrames, lagMs, witnesses, gap } = log
  const findings: Finding[] = []
  if (fault !== undefined) {
    const what = stopped ? 'Nothing is sealed any more' : 'What is new cannot be sealed; it is tried again'
    findings.push({ level: 'problem', about, message: `${what}: ${fault.message}`, remedy: fault.remedy })
  } else if (lagMs > LAG_MS_MAX) {
    findings.push({
      level: 'warning',
      about,
      message: `It is ${Math.round(lagMs / 1000)} s behind: no checkpoint covers ${lagFrames} entries.`,
      remedy:
        'Give the gateway more processor time, or a faster disk; sluice_sealer_lag_seconds tells how it goes on.',
    })
  } else if (log.key !== undefined) {
    findings.push({
      level: 'ok',
      about,
      message: `${log.entries === 1 ? '1 entry' : `${log.entries} entries`}, signed by ${log.key}.`,
    })
  }
  if (gap !== undefined) {
    findings.push({
      level: 'problem',
      about,
      message: `The journal had lost entries ${gap.first} to ${gap.last}, which the log covers, when the gateway started: it was taken away, or put back from a copy.`,
      remedy:
        'Which sessions lost what, sluice audit verify tells. Find out who had access to the data directory, and whether the disk is sound.',
    })
  }
  for (const name of witnesses.failed) {
    findings.push({
      level: 'warning',
      about,
      message: `The witness ${name} did not cosign the newest checkpoint.`,
      remedy: 'Why stands in the log of the gateway. Until it does, nothing new is witnessed by it.',
    })
  }
  return findings
}
