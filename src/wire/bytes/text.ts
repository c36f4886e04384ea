import { isUtf8 } from 'node:buffer'
import { violation } from './violation.ts'

/**
 * Bytes as text, exactly: what is not UTF-8 is a protocol violation. For everything a decision or a name depends on,
 * because a replacement character would make two different byte strings equal.
 */
export function decodeUtf8(buffer: Buffer, start = 0, end = buffer.length): string {
  if (start === end) return ''
  const text = buffer.toString('utf8', start, end)
  // Only bytes that are not UTF-8, or a replacement character sent as such, decode to U+FFFD.
  if (text.includes('\uFFFD') && !isUtf8(buffer.subarray(start, end)))
    throw violation('Text was not valid UTF-8.')
  return text
}

/**
 * Bytes as text for people: what is not UTF-8 becomes U+FFFD. For messages in a server's own encoding, which are shown
 * or logged and never compared.
 */
export function showText(buffer: Buffer, start = 0, end = buffer.length): string {
  return start === end ? '' : buffer.toString('utf8', start, end)
}
