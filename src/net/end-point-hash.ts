import { createHash } from 'node:crypto'

/** Object identifiers (DER contents, hex) of signature algorithms and the digest of each. RFC 8017, 5758. */
const DIGEST_OF_SIGNATURE: Readonly<Record<string, string>> = {
  '2a864886f70d010104': 'sha256', // MD5 with RSA: RFC 5929 asks for SHA-256 instead
  '2a864886f70d010105': 'sha256', // SHA-1 with RSA: the same
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a864886f70d01010e': 'sha224',
  '2a8648ce3d0401': 'sha256', // ECDSA with SHA-1
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
}

const RSA_PSS = '2a864886f70d01010a'

/** Digests by themselves, as RSA-PSS names them in its parameters. */
const DIGESTS: Readonly<Record<string, string>> = {
  '2b0e03021a': 'sha256', // SHA-1
  '608648016503040201': 'sha256',
  '608648016503040202': 'sha384',
  '608648016503040203': 'sha512',
  '608648016503040204': 'sha224',
}

/**
 * The `tls-server-end-point` channel binding of a server certificate (RFC 5929 section 4.1): its hash by the digest
 * of its own signature, SHA-256 where that is MD5 or SHA-1. Undefined where the signature has no single digest
 * (Ed25519): the RFC leaves channel binding undefined there, and PostgreSQL offers none.
 * `der` is the certificate as sent; anything that is not one gives undefined.
 */
export function endPointHash(der: Uint8Array): Uint8Array | undefined {
  const digest = digestOf(der)
  return digest === undefined ? undefined : createHash(digest).update(der).digest()
}

function digestOf(der: Uint8Array): string | undefined {
  // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, parameters }, ... }
  const certificate = element(der, 0, der.length)
  if (certificate?.tag !== 0x30) return undefined
  const tbs = element(der, certificate.from, certificate.to)
  if (tbs?.tag !== 0x30) return undefined
  const algorithm = element(der, tbs.to, certificate.to)
  if (algorithm?.tag !== 0x30) return undefined
  const name = element(der, algorithm.from, algorithm.to)
  if (name?.tag !== 0x06) return undefined
  const oid = hex(der, name)
  if (oid !== RSA_PSS) return DIGEST_OF_SIGNATURE[oid]
  // RSASSA-PSS-params ::= SEQUENCE { [0] hashAlgorithm SEQUENCE { OID } DEFAULT sha1, ... } (RFC 8017 A.2.3)
  const parameters = element(der, name.to, algorithm.to)
  if (parameters?.tag !== 0x30) return undefined
  const tagged = element(der, parameters.from, parameters.to)
  if (tagged?.tag !== 0xa0) return 'sha256'
  const hashAlgorithm = element(der, tagged.from, tagged.to)
  if (hashAlgorithm?.tag !== 0x30) return undefined
  const hash = element(der, hashAlgorithm.from, hashAlgorithm.to)
  return hash?.tag === 0x06 ? DIGESTS[hex(der, hash)] : undefined
}

type Element = { readonly tag: number; readonly from: number; readonly to: number }

/** The DER element that begins at `at` and must end by `end`: its tag and where its contents lie. */
function element(der: Uint8Array, at: number, end: number): Element | undefined {
  const tag = der[at]
  const first = der[at + 1]
  if (tag === undefined || first === undefined || at + 2 > end) return undefined
  let from = at + 2
  let length = first
  if (first >= 0x80) {
    const octets = first & 0x7f
    if (octets === 0 || octets > 3) return undefined
    length = 0
    for (let i = 0; i < octets; i++) length = length * 256 + (der[from + i] ?? 0)
    from += octets
  }
  return from + length <= end ? { tag, from, to: from + length } : undefined
}

function hex(der: Uint8Array, element: Element): string {
  return Buffer.from(der.buffer, der.byteOffset + element.from, element.to - element.from).toString('hex')
}
