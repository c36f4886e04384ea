import type { RawHeaders } from './headers.ts'

/** Fields of an answer that hold one address: RFC 9110 sections 10.2.2 and 8.7. */
const ADDRESSES = new Set(['location', 'content-location'])

/** An address in `Link` (RFC 8288 section 3), with what is in front of it. */
const LINKED = /((?:^|,)\s*)<([^<>]*)>/g

/**
 * The fields of an answer with addresses of its upstream written as those of the gateway, so that whoever follows one comes back here, with the
 * token of the gateway and judged like everything else. `origin` and `base` are those of the upstream, `gateway` is what stands for both at the
 * client's. A path stays a path. What lies elsewhere, or beside `base`, stays as it is.
 */
export function withOwnAddresses(
  raw: RawHeaders,
  upstream: { readonly origin: string; readonly base: string },
  gateway: { readonly origin: string; readonly base: string },
): RawHeaders {
  const own = (address: string): string => ownAddress(address, upstream, gateway)
  return raw.map((value, i) => {
    if (i % 2 === 0) return value
    const name = raw[i - 1]?.toLowerCase() ?? ''
    if (ADDRESSES.has(name)) return own(value)
    if (name !== 'link') return value
    return value.replaceAll(LINKED, (_, before: string, address: string) => `${before}<${own(address)}>`)
  })
}

function ownAddress(
  address: string,
  upstream: { readonly origin: string; readonly base: string },
  gateway: { readonly origin: string; readonly base: string },
): string {
  const [, authority, path] = /^((?:https?:)?\/\/[^/?#]*)?(\/.*|[?#].*|)$/i.exec(address.trim()) ?? []
  if (path === undefined || (authority === undefined && !path.startsWith('/'))) return address
  const meant = URL.canParse(address, upstream.origin) ? new URL(address, upstream.origin) : undefined
  // Dots that lead out of the base are out of it, however they are written.
  if (meant?.origin !== upstream.origin || !isBelow(meant.pathname, upstream.base)) return address
  if (!isBelow(path, upstream.base)) return address
  const rest = path.slice(upstream.base.length)
  const at = `${gateway.base}${rest.startsWith('/') ? '' : '/'}${rest}`
  return authority === undefined ? at : `${gateway.origin}${at}`
}

function isBelow(path: string, base: string): boolean {
  return path.startsWith(base) && /^(?:[/?#]|$)/.test(path.slice(base.length))
}
