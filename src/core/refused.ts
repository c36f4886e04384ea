import type { Identity } from './identity.ts'
import { identityKey } from './identity.ts'
import { safe } from './visible-text.ts'

/** Who refused a request and why, in that person's own words: they are for who asked. */
export function whyRefused(
  answers:
    | readonly { readonly verdict: string; readonly by: Identity; readonly reason?: string }[]
    | undefined,
): string {
  const answer = answers?.findLast(({ verdict }) => verdict === 'refuse')
  if (answer === undefined) return 'Who refused it is not known any more.'
  const by = safe(identityKey(answer.by))
  return answer.reason === undefined
    ? `${by} refused it and gave no reason.`
    : `${by} refused it, with the reason: "${safe(answer.reason)}".`
}
