import { styleText } from 'node:util'
import type { EvidenceVerdict, Failure, Progress, SessionVerdict, Verdict } from '../../audit/index.ts'
import { formatVerifierKey } from '../../evidence/index.ts'
import { safe } from '../../recording/index.ts'
import { table } from '../table.ts'
import type { Tail } from './tail.ts'

const MB = 1_000_000
/** Failures shown to people; `--json` has as many as were kept. */
const SHOWN = 20

export function progressLine({ entries, of, files, bytes }: Progress): string {
  return `${entries} of ${of} entries of the log, ${files} session files, ${(bytes / MB).toFixed(0)} MB`
}

type Signers = Pick<EvidenceVerdict, 'keys' | 'witnesses'>

function signersAnswer({ keys, witnesses }: Signers) {
  return {
    keys: keys.map(formatVerifierKey),
    witnesses: witnesses.map(({ key, timestamp }) => ({ key: formatVerifierKey(key), time: timestamp })),
  }
}

/** The verdict as JSON. `docs/audit.md` has its fields. */
export function verdictAnswer(verdict: Verdict, tail?: Tail): object {
  const { proved, log, through, sessions, gaps, removals, admin } = verdict
  const { files, unproven, ignored, ignoredCount, failures, failureCount } = verdict
  return {
    proved,
    ...(log === undefined
      ? {}
      : {
          log: {
            origin: log.origin,
            size: log.size,
            covered: log.covered,
            root: Buffer.from(log.root).toString('base64'),
            ...signersAnswer(log),
          },
        }),
    ...(through === undefined ? {} : { through }),
    ...(tail === undefined ? {} : { tail }),
    sessions,
    gaps,
    removals,
    admin,
    files,
    unproven,
    ignored,
    ignoredCount,
    failures,
    failureCount,
  }
}

export function verdictText(verdict: Verdict, tail?: Tail): string {
  const { log, through, sessions, gaps, admin, files, unproven, proved } = verdict
  const lines = [head(proved, verdict.failureCount)]
  if (log !== undefined) {
    lines.push(`log         ${safe(log.origin)}, ${log.size} entries`)
    lines.push(...signerLines(log))
    if (log.covered < log.size)
      lines.push(
        `witnessed   the first ${log.covered} entries; those behind are signed by the log alone, and not proved`,
      )
  }
  if (through !== undefined)
    lines.push(
      `through     frame ${through.sequence}, ${instantOf(through.time)}; what came later is unproven`,
    )
  if (tail !== undefined && (tail.frames > 0 || tail.broken !== undefined)) lines.push(tailLine(tail))
  for (const { first, last, sessions: lost } of gaps)
    lines.push(`gap         frames ${first} to ${last} were lost from the journal: ${lostBy(lost)}`)
  lines.push(...erasedLines(verdict.removals))
  lines.push(`sessions    ${counted(sessions)}; ${admin} administrative entries`)
  if (files.read > 0)
    lines.push(`read        ${files.read} session files, ${(files.bytes / MB).toFixed(1)} MB${locked(files)}`)
  if (unproven.length > 0)
    lines.push(`unproven    ${unproven.length} session files that the log does not name yet`)
  lines.push(...ignoredLines(verdict))
  if (sessions.length > 0) lines.push('', ranges(sessions))
  lines.push(...failureLines(verdict.failures, verdict.failureCount))
  return lines.join('\n')
}

export function evidenceAnswer(verdict: EvidenceVerdict): object {
  const { proved, session, origin, frames, whole, failures } = verdict
  const announced = verdict.announced.map(formatVerifierKey)
  return { proved, session, origin, ...signersAnswer(verdict), announced, whole, frames, failures }
}

export function evidenceText(verdict: EvidenceVerdict): string {
  const { proved, session, origin, frames, whole, failures } = verdict
  const lines = [head(proved, failures.length)]
  if (origin !== undefined) lines.push(`log         ${safe(origin)}`)
  for (const key of verdict.announced)
    lines.push(`announced   ${formatVerifierKey(key)}, by the key of the log before it`)
  lines.push(...signerLines(verdict), `session     ${safe(session)}`)
  const sequences = frames.map(({ sequence }) => sequence).join(' ')
  lines.push(
    whole
      ? `frames      all ${frames.length} of the session, from ${frames[0]?.sequence} to ${frames.at(-1)?.sequence}`
      : `frames      ${sequences}`,
  )
  const shown = frames.reduce((sum, each) => sum + each.shown.length, 0)
  lines.push(`payloads    ${shown} shown, each the one that was committed to`)
  lines.push(...failureLines(failures, failures.length))
  return lines.join('\n')
}

function head(proved: boolean, failures: number): string {
  if (proved) return styleText('green', 'proved')
  return failures > 0 ? styleText('red', 'not proved') : 'not proved yet: its file is not sealed'
}

function signerLines({ keys, witnesses }: Signers): string[] {
  return [
    ...keys.map((key) => `signed by   ${formatVerifierKey(key)}`),
    ...witnesses.map(
      ({ key, timestamp = 0 }) => `witnessed   ${formatVerifierKey(key)} at ${instantOf(timestamp * 1_000)}`,
    ),
  ]
}

function tailLine({ frames, sessions, last, broken }: Tail): string {
  const until = last === undefined ? '' : `, up to frame ${last}`
  const end = broken === undefined ? '' : `; it cannot be read further: ${safe(broken)}`
  return `tail        ${frames} entries of ${sessions} sessions in the journal${until}: read, and not proved${end}`
}

function counted(sessions: readonly SessionVerdict[]): string {
  const counts = new Map<string, number>()
  for (const { state } of sessions) counts.set(state, (counts.get(state) ?? 0) + 1)
  if (counts.size === 0) return 'none'
  return [...counts].map(([state, count]) => `${count} ${state}`).join(', ')
}

/** What the log says was erased: each, while these are few. */
function erasedLines(removals: Verdict['removals']): string[] {
  if (removals.length === 0) return []
  const sessions = new Set(removals.map(({ session }) => session)).size
  const lines = [
    `erased      payloads of ${sessions === 1 ? '1 session' : `${sessions} sessions`}, as the log says`,
  ]
  for (const { session, time, by, payload, frames, reason, rule } of removals.slice(0, SHOWN)) {
    const places = frames
      .map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))
      .join(',')
    const why = reason ?? (rule === undefined ? '' : `kept no longer (${rule})`)
    lines.push(
      `            ${safe(`${session} ${payload} of ${places}, ${instantOf(time)} by ${by}: ${why}`)}`,
    )
  }
  if (removals.length > SHOWN) lines.push(`            and ${removals.length - SHOWN} more: --json has them`)
  return lines
}

/** A word of warning: they may be what a process left that died, or what somebody put there. */
function ignoredLines({ ignored, ignoredCount: count }: Verdict): string[] {
  if (count === 0) return []
  const lines = [
    `passed over ${count === 1 ? '1 file' : `${count} files`} that no proof rests on and nobody reads`,
  ]
  lines.push(...ignored.slice(0, SHOWN).map((path) => `            ${safe(path)}`))
  if (count > SHOWN) lines.push(`            and ${count - SHOWN} more`)
  return lines
}

function lostBy(sessions: number): string {
  return sessions === 0 ? 'no session lacks any' : `sessions that lack some of them for good: ${sessions}`
}

function locked({ locked: count }: Verdict['files']): string {
  return count === 0 ? ', their payloads held against their commitments' : `; payloads of ${count} not opened`
}

function ranges(sessions: readonly SessionVerdict[]): string {
  return table(
    [
      { title: 'SESSION' },
      { title: 'STATE' },
      { title: 'FRAMES', right: true },
      { title: 'FIRST', right: true },
      { title: 'LAST', right: true },
    ],
    sessions.map(({ session, state, frames, first, last }) => [
      session,
      state,
      String(frames),
      String(first ?? ''),
      String(last ?? ''),
    ]),
  )
}

function failureLines(failures: readonly Failure[], count: number): string[] {
  if (failures.length === 0) return []
  const lines = failures
    .slice(0, SHOWN)
    .map((failure) => `${styleText('red', failure.code)}  ${placeOf(failure)}`)
  if (count > SHOWN) lines.push(`and ${count - SHOWN} more`)
  return ['', ...lines]
}

function placeOf({ path, entry, session, sequence, offset, why }: Failure): string {
  const places = [
    ...(entry === undefined ? [] : [`entry ${entry}`]),
    ...(session === undefined || path.includes(session) ? [] : [`session ${session}`]),
    ...(sequence === undefined ? [] : [`frame ${sequence}`]),
    ...(offset === undefined ? [] : [`byte ${offset}`]),
  ]
  return safe(`${path}${places.length === 0 ? '' : ` (${places.join(', ')})`}: ${why}`)
}

function instantOf(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? 'no time' : date.toISOString()
}
