import { GatewayError, Secret } from '../core/index.ts'
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import {
  bits,
  boolean,
  explicit,
  implicit,
  integer,
  objectIdentifier,
  octets,
  sequence,
  set,
  time,
  utf8,
} from './der.ts'

/** An authority of one's own and a server certificate signed by it. All PEM. */
export type Certificates = {
  /** Give it to clients as `sslrootcert`; it is no secret. */
  readonly authority: string
  readonly authorityKey: Secret
  readonly certificate: string
  readonly key: Secret
}

const DAY_MS = 24 * 60 * 60 * 1000

/** Clocks of one network differ: a certificate made this instant must already be valid everywhere. */
const BACKDATED_MS = DAY_MS

/** Some clients accept no longer life of a server certificate. */
const DAYS_MAX = 825

/** ecdsa-with-SHA256, RFC 5758 section 3.2. */
const SIGNATURE = sequence(objectIdentifier('1.2.840.10045.4.3.2'))

/** Object identifiers of RFC 5280 appendix A. */
const COMMON_NAME = '2.5.4.3'
const SUBJECT_KEY_ID = '2.5.29.14'
const KEY_USAGE = '2.5.29.15'
const SUBJECT_ALT_NAME = '2.5.29.17'
const BASIC_CONSTRAINTS = '2.5.29.19'
const AUTHORITY_KEY_ID = '2.5.29.35'
const EXTENDED_KEY_USAGE = '2.5.29.37'
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'

/**
 * Makes an authority (valid ten years) and a server certificate (P-256, valid `days`, 397 by default and at most 825)
 * for `names`, which may be host names and IP addresses. The keys are fresh, so nothing else is ever signed by an
 * authority whose key is thrown away.
 * Throws GatewayError `invalid` for a name that is neither.
 *
 * Written out here because the library that does it wants a global polyfill and twenty packages for these fifty lines;
 * key generation, signing and every check of a certificate remain OpenSSL's.
 */
export function createCertificates(options: {
  readonly names: readonly [string, ...string[]]
  readonly now: number
  readonly days?: number
}): Certificates {
  for (const name of options.names) checkName(name)
  const from = options.now - BACKDATED_MS
  const issuer = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subject = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuerName = `Sluice authority ${new Date(options.now).toISOString().slice(0, 10)}`
  const common = { issuerName, issuer, from }
  return {
    authority: certificate({
      ...common,
      subjectName: issuerName,
      subjectKey: issuer.publicKey,
      until: options.now + 3650 * DAY_MS,
      extensions: [
        extension(BASIC_CONSTRAINTS, true, sequence(boolean(true), integer(Buffer.from([0])))),
        // keyCertSign (5) and cRLSign (6)
        extension(KEY_USAGE, true, bits(Buffer.from([0b0000_0110]), 1)),
      ],
    }),
    authorityKey: pem(issuer.privateKey),
    certificate: certificate({
      ...common,
      subjectName: options.names[0],
      subjectKey: subject.publicKey,
      until: options.now + Math.min(options.days ?? 397, DAYS_MAX) * DAY_MS,
      extensions: [
        extension(BASIC_CONSTRAINTS, true, sequence()),
        // digitalSignature (0)
        extension(KEY_USAGE, true, bits(Buffer.from([0b1000_0000]), 7)),
        extension(EXTENDED_KEY_USAGE, false, sequence(objectIdentifier(SERVER_AUTH))),
        extension(SUBJECT_ALT_NAME, false, sequence(...options.names.map(alternativeName))),
        extension(AUTHORITY_KEY_ID, false, sequence(implicit(0, keyId(issuer.publicKey)))),
      ],
    }),
    key: pem(subject.privateKey),
  }
}

/** RFC 5280 section 4.1. */
function certificate(of: {
  readonly issuerName: string
  readonly issuer: { readonly privateKey: KeyObject }
  readonly subjectName: string
  readonly subjectKey: KeyObject
  readonly from: number
  readonly until: number
  readonly extensions: readonly Buffer[]
}): string {
  const serial = randomBytes(16)
  const tbs = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serial),
    SIGNATURE,
    distinguishedName(of.issuerName),
    sequence(time(of.from), time(of.until)),
    distinguishedName(of.subjectName),
    of.subjectKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...of.extensions, extension(SUBJECT_KEY_ID, false, octets(keyId(of.subjectKey))))),
  )
  const signed = sequence(tbs, SIGNATURE, bits(sign('sha256', tbs, of.issuer.privateKey)))
  const lines = signed.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

function extension(name: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [boolean(true)] : []
  return sequence(objectIdentifier(name), ...flag, octets(value))
}

function distinguishedName(commonName: string): Buffer {
  return sequence(set(sequence(objectIdentifier(COMMON_NAME), utf8(commonName))))
}

/** dNSName is [2], iPAddress [7] with the address in network order: RFC 5280 section 4.2.1.6. */
function alternativeName(name: string): Buffer {
  switch (isIP(name)) {
    case 4:
      return implicit(7, Buffer.from(name.split('.').map(Number)))
    case 6:
      return implicit(7, ipv6Bytes(name))
    default:
      return implicit(2, Buffer.from(name))
  }
}

function ipv6Bytes(address: string): Buffer {
  // The URL parser writes every IPv6 address in hexadecimal groups, an embedded IPv4 address too.
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = '', tail] = text.split('::')
  const groups = (part: string | undefined): string[] => (part ?? '').split(':').filter((each) => each !== '')
  const before = groups(head)
  const after = groups(tail)
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  const bytes = [...before, ...zeros, ...after].flatMap((group) => {
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
  return Buffer.from(bytes)
}

/** RFC 5280 section 4.2.1.2, method 1: SHA-1 as a name, not as a protection. */
function keyId(key: KeyObject): Buffer {
  const point = key.export({ type: 'spki', format: 'der' }).subarray(-65)
  return createHash('sha1').update(point).digest()
}

function pem(key: KeyObject): Secret {
  return new Secret(key.export({ type: 'pkcs8', format: 'pem' }).toString())
}

function checkName(name: string): void {
  const labels = name.replace(/^\*\./, '').split('.')
  const isHost = labels.every((label) => /^[a-z0-9_][a-z0-9_-]{0,62}$/i.test(label))
  if ((isIP(name) !== 0 && !name.includes('%')) || isHost) return
  throw new GatewayError('invalid', 'A certificate can be made for host names and IP addresses only.', {
    facts: { name },
  })
}

/**
 * Writes `authority.pem`, `authority-key.pem`, `server.pem` and `server-key.pem` into `directory` (made when missing,
 * for its owner only). Every file is readable by its owner only, and none that exists is overwritten: a key that
 * clients trust must not go by accident. Throws GatewayError `conflict` when one exists.
 */
export async function writeCertificates(directory: string, certificates: Certificates): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const files = [
    ['authority.pem', certificates.authority],
    ['authority-key.pem', certificates.authorityKey.reveal()],
    ['server.pem', certificates.certificate],
    ['server-key.pem', certificates.key.reveal()],
  ] as const
  for (const [name, text] of files) {
    try {
      await writeFile(join(directory, name), text, { mode: 0o600, flag: 'wx' })
    } catch (cause) {
      if (!(cause instanceof Error) || Reflect.get(cause, 'code') !== 'EEXIST') throw cause
      throw new GatewayError('conflict', `There is already a ${name} in ${directory}.`, {
        remedy: 'Move it away first, or keep it.',
        cause,
      })
    }
  }
}
