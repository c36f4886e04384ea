import type { Verdict } from '../../audit/index.ts'
import type { RecordingKeys, SessionId } from '../../core/index.ts'
import { brand, LIMITS } from '../../core/index.ts'
import { safe } from '../../recording/index.ts'
import type { PolicyCheck } from '../../simulation/check.ts'
import { WHY } from '../../simulation/judging.ts'
import { readGiven } from './keys.ts'

/** Differences shown to people; `--json` has more. */
const SHOWN = 20

/** Holds a configuration against the decisions of the sessions that are proved. */
export async function policyCheck(
  directory: string,
  file: string,
  keys: RecordingKeys,
  { sessions }: Verdict,
): Promise<PolicyCheck> {
  const text = readGiven(file, LIMITS.configBytesMax).toString('utf8')
  // Loaded here, because every other command starts faster without the rule engine and the parser.
  const { checkPolicy } = await import('../../composition/simulation.ts')
  const proved = sessions.filter(({ state }) => state === 'proved')
  const ids = proved.map(({ session }) => brand<SessionId>(session))
  return checkPolicy({ directory, keys, file, text, sessions: ids })
}

/** 0: all that this version decided is as it gives; 1: something is not; 3: it decided nothing, or not all can be told. */
export function policyExit({ differingCount, byThis, unjudged }: PolicyCheck): 0 | 1 | 3 {
  if (differingCount > 0) return 1
  return byThis === 0 || unjudged.length > 0 ? 3 : 0
}

export function policyText(file: string | undefined, check: PolicyCheck): string {
  const { policy, commands, byThis, same, byNoRule, differing, differingCount, unjudged, others } = check
  const lines = [
    byThis === 0 && commands > 0
      ? `policy      ${safe(file ?? '')} is ${policy}: by that version none of ${commands} proved commands was decided`
      : `policy      ${safe(file ?? '')} is ${policy}: it decided ${byThis} of ${commands} proved commands`,
    `            ${same} as it gives, ${byNoRule} by what is no rule, ${differingCount} not as it gives`,
  ]
  for (const [version, count] of Object.entries(others))
    lines.push(`            ${count} by ${safe(version)}: not looked at`)
  for (const { why, count } of unjudged) lines.push(`            ${count} cannot be judged anew: ${WHY[why]}`)
  for (const { session, n, connection, recorded, judged } of differing.slice(0, SHOWN))
    lines.push(
      `differs     ${session}/${n} on ${safe(connection)}: recorded ${sideText(recorded)}, gives ${sideText(judged)}`,
    )
  return lines.join('\n')
}

function sideText({ decision, rules }: PolicyCheck['differing'][0]['recorded']): string {
  return rules.length === 0 ? decision : `${decision} by ${safe(rules.join(', '))}`
}
