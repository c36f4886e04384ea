import { GatewayError } from '../../core/index.ts'
import type { RawHeaders } from './headers.ts'

/** RFC 9110 section 5.6.3: these and no others, of which some readers know more. */
const BLANKS = /^[ \t]+|[ \t]+$/g

/** RFC 3986 section 3.2.2, with a port. */
const HOST = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?$/

/**
 * Refuses a head that node:http takes and others read in another way: two hosts, or one that is none (RFC 9112 section 3.2), and
 * codings of the transfer besides chunked, of which the body would go on without a word (sections 6.1 and 7). Throws GatewayError
 * `protocol_violation`.
 */
export function refuseAmbiguousHead(raw: RawHeaders, httpVersion: string): void {
  const hosts = valuesOf(raw, 'host')
  if (hosts.length > 1) throw refused('say the host once')
  if (!HOST.test(hosts[0] ?? '')) throw refused('its host is none')
  const codings = valuesOf(raw, 'transfer-encoding')
  if (codings.length === 0) return
  if (httpVersion === '1.0') throw refused('HTTP/1.0 has no chunks')
  if (codings.length > 1 || codings[0]?.toLowerCase() !== 'chunked')
    throw refused('its body is in chunks and in nothing else')
}

function valuesOf(raw: RawHeaders, name: string): readonly string[] {
  const values: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.toLowerCase() === name) values.push((raw[i + 1] ?? '').replace(BLANKS, ''))
  }
  return values
}

function refused(why: string): GatewayError {
  return new GatewayError('protocol_violation', `Write the head of the request in its plain form; ${why}.`, {
    retry: 'only-if-changed',
  })
}
