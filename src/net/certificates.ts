import { GatewayError, Secret } from '../core/index.ts'
import { KeyObject, webcrypto } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'

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

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/**
 * Makes an authority (valid ten years) and a server certificate (P-256, valid `days`, 397 by default and at most 825)
 * for `names`, which may be host names and IP addresses. The keys are fresh, so nothing else is ever signed by an
 * authority whose key is thrown away.
 * Throws GatewayError `invalid` for a name that is neither.
 */
export async function createCertificates(options: {
  readonly names: readonly [string, ...string[]]
  readonly now: number
  readonly days?: number
}): Promise<Certificates> {
  for (const name of options.names) checkName(name)
  const x509 = await library()
  const issuer = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const subject = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const issuerName = [{ CN: [`Sluice authority ${new Date(options.now).toISOString().slice(0, 10)}`] }]
  const common = {
    issuer: issuerName,
    signingKey: issuer.privateKey,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(options.now - BACKDATED_MS),
  }
  const authority = await x509.X509CertificateGenerator.create({
    ...common,
    subject: issuerName,
    publicKey: issuer.publicKey,
    notAfter: new Date(options.now + 3650 * DAY_MS),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  const certificate = await x509.X509CertificateGenerator.create({
    ...common,
    subject: [{ CN: [options.names[0]] }],
    publicKey: subject.publicKey,
    notAfter: new Date(options.now + Math.min(options.days ?? 397, DAYS_MAX) * DAY_MS),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        options.names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(subject.publicKey),
    ],
  })
  return {
    authority: `${authority.toString('pem')}\n`,
    authorityKey: pem(issuer.privateKey),
    certificate: `${certificate.toString('pem')}\n`,
    key: pem(subject.privateKey),
  }
}

/** Loaded when it is needed, which is once a year: it wants a polyfill of `Reflect` that nothing else here should see. */
async function library(): Promise<typeof import('@peculiar/x509')> {
  await import('reflect-metadata')
  return import('@peculiar/x509')
}

function pem(key: webcrypto.CryptoKey): Secret {
  return new Secret(KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString())
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
