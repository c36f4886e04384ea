import { GatewayError } from '../core/index.ts'

/**
 * Why a token was not taken: one word for the log and for whoever presented it, in `facts.reason`. A person reads the
 * message; neither holds any part of the token.
 */
const TOKEN_REFUSALS = {
  malformed: 'This is not a signed JSON Web Token.',
  too_large: 'This token is too long.',
  encrypted: 'This token is encrypted; only signed ones are understood.',
  algorithm: 'This token is signed in a way that is not accepted here.',
  issuer: 'This token comes from an issuer that is not configured here.',
  keys_unavailable: 'The keys of the issuer of this token cannot be had at the moment.',
  unknown_key: 'This token is signed with a key that its issuer does not publish.',
  signature: 'The signature of this token is wrong.',
  token_type: 'This is a token of another kind; an access token is needed.',
  id_token: 'This is an ID token; an access token is needed.',
  sender_constrained: 'This token is bound to a key of its client, which cannot be proved here.',
  wrong_audience: 'This token is for another audience.',
  expired: 'This token has expired.',
  not_yet_valid: 'This token is not valid yet.',
  issued_in_future: 'This token was issued in the future; a clock is wrong.',
  claims: 'This token lacks a claim that is needed, or has one of the wrong form.',
  actor: 'This token names an actor in a way that is not accepted here.',
  too_deep: 'This token names too many actors, one for another.',
  identity_unknown: 'The identity of this token is not configured any more.',
  blocked: 'An identity in this token was blocked here.',
} as const

export type TokenRefusal = keyof typeof TOKEN_REFUSALS

/** A refusal as an error. `detail` goes after the sentence: what was expected, never what was presented. */
export function tokenRefusal(reason: TokenRefusal, detail?: string, cause?: unknown): GatewayError {
  const message = detail === undefined ? TOKEN_REFUSALS[reason] : `${TOKEN_REFUSALS[reason]} ${detail}`
  return new GatewayError('unauthenticated', message, {
    facts: { reason },
    cause,
    retry: reason === 'keys_unavailable' ? 'later' : 'only-if-changed',
  })
}
