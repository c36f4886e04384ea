import { GatewayError, LIMITS } from '../../core/index.ts'
import type { RawHeaders } from './headers.ts'

/** Stands for the method where an upgrade is asked for: no HTTP method is called so. */
export const WEBSOCKET = 'WEBSOCKET'

const KEY = /^[+/0-9A-Za-z]{22}==$/
/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** What a client asks for with an upgrade. */
export type WebSocketOffer = {
  /** Subprotocols, the one it likes best first. */
  readonly protocols: readonly string[]
}

/** Whether a request asks for nothing but a WebSocket, and nothing of a body is to come. RFC 6455 section 4.1. */
export function asksForWebSocket(method: string | undefined, raw: RawHeaders): boolean {
  const upgrades = valuesOf(raw, 'upgrade')
  const isBodied =
    valuesOf(raw, 'transfer-encoding').length > 0 || valuesOf(raw, 'content-length').some(isMore)
  return method === 'GET' && !isBodied && upgrades.length === 1 && upgrades[0]?.toLowerCase() === 'websocket'
}

/**
 * Reads the fields of such a request. Throws GatewayError `protocol_violation` for what servers read in more than one way, or not
 * at all.
 */
export function readWebSocketOffer(raw: RawHeaders): WebSocketOffer {
  const keys = valuesOf(raw, 'sec-websocket-key')
  if (keys.length !== 1 || !KEY.test(keys[0] ?? '')) throw refused('one Sec-WebSocket-Key of 16 bytes')
  const versions = valuesOf(raw, 'sec-websocket-version')
  if (versions.length !== 1 || versions[0] !== '13') throw refused('Sec-WebSocket-Version: 13')
  const lines = valuesOf(raw, 'sec-websocket-protocol')
  if (lines.length > 1) throw refused('Sec-WebSocket-Protocol once')
  const protocols = lines.flatMap((each) => each.split(',').map((name) => name.trim()))
  if (protocols.some((each) => !TOKEN.test(each)) || new Set(protocols).size < protocols.length)
    throw refused('each subprotocol once, by its name')
  if (protocols.length > LIMITS.webSocketProtocolsMax)
    throw refused(`at most ${LIMITS.webSocketProtocolsMax} subprotocols`)
  return { protocols }
}

/** The fields of a request without those of the handshake, which each side makes anew. */
export function withoutHandshake(raw: RawHeaders): string[] {
  return raw.filter((_, i) => !(raw[i - (i % 2)] ?? '').toLowerCase().startsWith('sec-websocket-'))
}

function isMore(length: string): boolean {
  return !/^0*$/.test(length)
}

function valuesOf(raw: RawHeaders, name: string): readonly string[] {
  return raw.flatMap((value, i) => (i % 2 === 1 && raw[i - 1]?.toLowerCase() === name ? [value.trim()] : []))
}

function refused(wanted: string): GatewayError {
  return new GatewayError('protocol_violation', `Ask for a WebSocket as RFC 6455 has it: with ${wanted}.`, {
    retry: 'only-if-changed',
  })
}
