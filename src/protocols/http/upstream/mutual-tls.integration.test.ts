import { KeyObject, webcrypto } from 'node:crypto'
import type { Server } from 'node:https'
import { createServer } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterEach, expect, it } from 'vitest'
import { HttpStage, httpConnection } from '../../../testing/http-stage.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

type Authority = Awaited<ReturnType<typeof authority>>

/** An authority, and what it signs: a server for 127.0.0.1, and clients. All PEM. */
async function authority(name: string) {
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const pair = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const times = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) }
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys: pair,
    signingAlgorithm: ALGORITHM,
    ...times,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  })
  const sign = async (subject: string, usage: string) => {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
    const certificate = await x509.X509CertificateGenerator.create({
      issuer: own.subject,
      subject: `CN=${subject}`,
      publicKey: keys.publicKey,
      signingKey: pair.privateKey,
      signingAlgorithm: ALGORITHM,
      ...times,
      extensions: [
        new x509.ExtendedKeyUsageExtension([usage]),
        new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
      ],
    })
    const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString()
    return { certificate: certificate.toString('pem'), key }
  }
  return {
    certificate: own.toString('pem'),
    server: () => sign('server', x509.ExtendedKeyUsage.serverAuth),
    client: (subject: string) => sign(subject, x509.ExtendedKeyUsage.clientAuth),
  }
}

const later: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const each of later.splice(0).reverse()) await each()
})

/** An API that lets in whoever has a certificate of this authority, and says whom it sees. */
async function startApi(own: Authority): Promise<number> {
  const { certificate, key } = await own.server()
  const server: Server = createServer(
    { cert: certificate, key, ca: own.certificate, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate()
      response.end(JSON.stringify({ client: subject.CN }))
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  later.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, own.certificate])
  later.push(() => setDefaultCACertificates(before))
  const address = server.address()
  return typeof address === 'object' ? (address?.port ?? 0) : 0
}

async function openStage(
  port: number,
  secrets: Record<string, string>,
  credential: boolean,
): Promise<HttpStage> {
  const upstream = `url: "https://127.0.0.1:${port}"${
    credential ? ', credential: { kind: mutualTls, certificate: "${env:CERT}", key: "${env:KEY}" }' : ''
  }`
  const stage = await HttpStage.open({
    connection: () => httpConnection(port).replace(/url: .*\}" \}/, `${upstream} }`),
    secrets,
  })
  later.push(() => stage.close())
  return stage
}

it('shows its certificate to the upstream, and another one as soon as there is another', async () => {
  const own = await authority('own')
  const port = await startApi(own)
  const [first, second] = [await own.client('gateway-1'), await own.client('gateway-2')]
  const secrets: Record<string, string> = { CERT: first.certificate, KEY: first.key }
  const stage = await openStage(port, secrets, true)
  const client = await stage.client()
  const told = async (): Promise<string> => (await client.request('GET /numbers')).body
  expect(await told()).toContain('"gateway-1"')
  expect(await told()).toContain('"gateway-1"')
  Object.assign(stage.secrets, { CERT: second.certificate, KEY: second.key })
  expect(await told()).toContain('"gateway-2"')
  // Half of a change is no pair, and is not tried.
  Object.assign(stage.secrets, { CERT: first.certificate })
  const reply = await client.request('GET /numbers')
  expect([reply.status, reply.body.includes('cannot be had')]).toEqual([502, true])
})

it('is not let in without one, or with that of another authority', async () => {
  const own = await authority('own')
  const port = await startApi(own)
  const stranger = await (await authority('other')).client('gateway-1')
  for (const credential of [true, false]) {
    const stage = await openStage(port, { CERT: stranger.certificate, KEY: stranger.key }, credential)
    const reply = await (await stage.client()).request('GET /numbers')
    expect([reply.status, reply.body.includes('does not answer')]).toEqual([502, true])
  }
})
