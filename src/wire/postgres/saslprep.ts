/** RFC 3454 table C.1.2, spaces outside ASCII: become a space. */
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu
/** RFC 3454 table B.1, commonly mapped to nothing. Joiners and selectors stand alone here, by code point. */
const NOTHING = /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/gu
/** RFC 3454 tables C.2.1 to C.9: control, private use, non-characters, surrogates, tags and the like. */
const PROHIBITED = new RegExp(
  [
    '[\\u0000-\\u001f\\u007f-\\u009f\\u0340\\u0341\\u06dd\\u070f\\u180e]',
    '[\\u200c-\\u200f\\u2028-\\u202e\\u2060-\\u2063\\u206a-\\u206f\\u2ff0-\\u2ffb]',
    '[\\ud800-\\uf8ff\\ufdd0-\\ufdef\\ufeff\\ufff9-\\uffff]',
    '[\\u{1d173}-\\u{1d17a}\\u{e0001}\\u{e0020}-\\u{e007f}\\u{f0000}-\\u{10ffff}]',
    '\\p{Noncharacter_Code_Point}',
  ].join('|'),
  'u',
)
const ASCII = /^[\0-\x7f]*$/

/**
 * A password as SCRAM hashes it: SASLprep (RFC 4013) the way PostgreSQL's `pg_saslprep` does it. ASCII is taken as it
 * is; else spaces and invisible characters are mapped and the rest is normalised (NFKC); a password that SASLprep
 * prohibits is used raw, because PostgreSQL stored it raw.
 *
 * Left out: the checks for unassigned code points and for mixed directions (tables A.1 and D of RFC 3454). They could
 * only matter for a password that fails one of them and that NFKC also changes.
 */
export function saslPrep(password: string): string {
  if (ASCII.test(password)) return password
  const prepared = password.replace(SPACES, ' ').replace(NOTHING, '').normalize('NFKC')
  return prepared === '' || PROHIBITED.test(prepared) ? password : prepared
}
