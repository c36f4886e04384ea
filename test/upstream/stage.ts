/**
 * A real server that asks its roles for every kind of proof, with TLS by an authority of our own, and the
 * certificates that go with it. What each role is asked for is its name.
 */
import 'reflect-metadata'
import { KeyObject, webcrypto } from 'node:crypto'
import { chown, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import { createCertificates } from '../../src/net/index.ts'
import { unprivilegedUser } from '../../src/sample/index.ts'
import type { Major, TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { eventually } from '../support/wait.ts'

/** Printable, and easily found anywhere it must not be. */
export const ROLE_PASSWORD = 'upstream-secret-4711'

/** The only name in the server's certificate. It leads to the same address as 127.0.0.1, which is not in it. */
export const SERVER_NAME = 'localhost'

const RULES = `
local   all postgres scram-sha-256
local   all by_scram scram-sha-256
host    all postgres 127.0.0.1/32 scram-sha-256
hostssl all by_tls   127.0.0.1/32 scram-sha-256
host    all by_scram 127.0.0.1/32 scram-sha-256
host    all by_md5   127.0.0.1/32 md5
host    all by_clear 127.0.0.1/32 password
hostssl all by_cert  127.0.0.1/32 cert
host    all by_trust 127.0.0.1/32 trust
`

export type UpstreamStage = {
  readonly server: TestServer
  /** Files of certificates and keys, as sluice.yaml names them. */
  readonly files: {
    readonly authority: string
    readonly otherAuthority: string
    readonly clientCertificate: string
    readonly clientKey: string
    readonly strangerCertificate: string
    readonly strangerKey: string
  }
  /** Switches TLS of the server on or off. */
  tls(on: boolean): Promise<void>
  stop(): Promise<void>
}

export async function startUpstream(major: Major, place: string): Promise<UpstreamStage> {
  const server = await startTestServer(major)
  try {
    const directory = join(place, String(major))
    await mkdir(directory, { mode: 0o700 })
    const write = async (name: string, text: string) => {
      const path = join(directory, name)
      await writeFile(path, text, { mode: 0o600 })
      return path
    }
    const now = Date.now()
    const own = await createCertificates({ names: [SERVER_NAME], now })
    const other = await createCertificates({ names: [SERVER_NAME], now })
    const client = await clientCertificate(own, 'by_cert', now)
    const stranger = await clientCertificate(other, 'by_cert', now)
    const files = {
      authority: await write('authority.pem', own.authority),
      otherAuthority: await write('other-authority.pem', other.authority),
      clientCertificate: await write('client.pem', client.certificate),
      clientKey: await write('client-key.pem', client.key),
      strangerCertificate: await write('stranger.pem', stranger.certificate),
      strangerKey: await write('stranger-key.pem', stranger.key),
    }
    const cluster = join(server.dataDirectory, 'cluster')
    await forServer(join(cluster, 'tls.pem'), own.certificate)
    await forServer(join(cluster, 'tls-key.pem'), own.key.reveal())
    await forServer(join(cluster, 'tls-authority.pem'), own.authority)
    await forServer(join(cluster, 'pg_hba.conf'), RULES)

    await server.role('by_scram', ROLE_PASSWORD)
    await server.role('by_tls', ROLE_PASSWORD)
    await server.role('by_clear', ROLE_PASSWORD)
    await server.role('by_cert', ROLE_PASSWORD)
    await server.role('by_trust', ROLE_PASSWORD)
    const admin = await server.client()
    await admin.query("SET password_encryption = 'md5'")
    await admin.query(`CREATE ROLE by_md5 LOGIN PASSWORD '${ROLE_PASSWORD}'`)
    await admin.end()
    await server.sql("ALTER SYSTEM SET ssl_cert_file = 'tls.pem'")
    await server.sql("ALTER SYSTEM SET ssl_key_file = 'tls-key.pem'")
    await server.sql("ALTER SYSTEM SET ssl_ca_file = 'tls-authority.pem'")
    const tls = async (on: boolean) => {
      await server.sql(`ALTER SYSTEM SET ssl = ${on ? 'on' : 'off'}`)
      await server.sql('SELECT pg_reload_conf()')
      await eventually('the server to have read its settings', async () => {
        const [row] = await server.sql('SHOW ssl')
        return row?.['ssl'] === (on ? 'on' : 'off')
      })
    }
    await tls(true)
    return { server, files, tls, stop: () => server.stop() }
  } catch (error) {
    await server.stop()
    throw error
  }
}

/** A file of the server's own: it refuses a key that belongs to somebody else. */
async function forServer(path: string, text: string): Promise<void> {
  await rm(path, { force: true })
  await writeFile(path, text, { mode: 0o600 })
  const runAs = unprivilegedUser()
  if (runAs !== undefined) await chown(path, runAs.uid, runAs.gid)
}

/** A client's certificate signed by the authority: PostgreSQL takes its common name for the role's. */
async function clientCertificate(
  authority: { readonly authority: string; readonly authorityKey: { reveal(): string } },
  role: string,
  now: number,
): Promise<{ certificate: string; key: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const day = 24 * 60 * 60 * 1000
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(authority.authorityKey.reveal()),
    algorithm,
    false,
    ['sign'],
  )
  const certificate = await x509.X509CertificateGenerator.create({
    issuer: new x509.X509Certificate(authority.authority).subject,
    subject: [{ CN: [role] }],
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    notBefore: new Date(now - day),
    notAfter: new Date(now + day),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
    ],
  })
  return {
    certificate: certificate.toString('pem'),
    key: KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
