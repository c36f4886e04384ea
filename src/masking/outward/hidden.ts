import { isUtf8 } from 'node:buffer'
import { DETECTORS } from '../detectors/index.ts'

const SECRET_DETECTORS = ['private-key', 'vendor-token', 'jwt'] as const
const NAME = '[\\w.-]*(?:passw|secret|token|api[_-]?key|private[_-]?key|credential)[\\w.-]*'
/** `"password": "..."` in JSON, and `password=...` in forms and queries. */
const MEMBER = new RegExp(`("${NAME}"\\s*:\\s*)"((?:[^"\\\\]|\\\\.)*)"`, 'gi')
const PAIR = new RegExp(`((?:^|[?&;\\n])${NAME}=)([^&;\\s]+)`, 'gim')

/**
 * A text in which secrets are not shown, for people: those given (in all their spellings), what looks like a key or a token, and values
 * whose names say that they are secret. Bytes that are no text are searched for those given only.
 */
export function withoutSecrets(bytes: Uint8Array, spellings: readonly Buffer[]): Buffer {
  let latin = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  // The longest first: one may be the beginning of another.
  for (const spelling of spellings.toSorted((a, b) => b.length - a.length)) {
    const text = spelling.toString('latin1')
    if (latin.includes(text)) latin = latin.replaceAll(text, `[secret, ${text.length} bytes]`)
  }
  const hidden = Buffer.from(latin, 'latin1')
  if (!isUtf8(hidden)) return hidden
  let text = hidden.toString('utf8')
  for (const name of SECRET_DETECTORS) {
    for (const { from, to } of DETECTORS[name].find(text).toReversed())
      text = `${text.slice(0, from)}[${name}, ${to - from} characters]${text.slice(to)}`
  }
  text = text
    .replaceAll(MEMBER, (_, name: string, value: string) => `${name}"${hiddenValue(value)}"`)
    .replaceAll(PAIR, (_, name: string, value: string) => `${name}${hiddenValue(value)}`)
  return Buffer.from(text)
}

function hiddenValue(value: string): string {
  return value.startsWith('[') && value.endsWith('characters]')
    ? value
    : `[hidden, ${value.length} characters]`
}
