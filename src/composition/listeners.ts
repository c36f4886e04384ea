import { X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Previews } from '../approvals/index.ts'
import type { Config, Listener as ListenerConfig } from '../config/index.ts'
import type { SecretResolver } from '../connections/index.ts'
import type { Clock, RandomBytes, ServerTls } from '../core/index.ts'
import { Secret } from '../core/index.ts'
import type { Listener } from '../net/index.ts'
import { createCertificates, listen } from '../net/index.ts'
import { PROTOCOLS } from '../protocols/index.ts'
import type { CredentialDesk, Gateway, SignIn, Snapshots } from '../session/index.ts'

type ListenerParts = {
  readonly gateway: Gateway
  readonly credentials: CredentialDesk
  readonly random: RandomBytes
  readonly secrets: SecretResolver
  readonly configuredSecrets: () => Promise<readonly string[]>
  readonly clock: Clock
  readonly snapshots: Snapshots
  readonly previews: Pick<Previews, 'offer'>
  config(): Config
  report(error: unknown): void
}

export type Listeners = {
  readonly endpoints: Readonly<Record<string, { readonly address: string; readonly port: number }>>
  /** Stops accepting; what is open stays open. */
  close(): void
}

/** One listener for each protocol that the configuration has one for. */
export async function openListeners(parts: ListenerParts, undo: (() => unknown)[]): Promise<Listeners> {
  const endpoints: Record<string, { address: string; port: number }> = {}
  const open: Listener[] = []
  const { gateway, credentials, random, report } = parts
  for (const protocol of PROTOCOLS) {
    const wanted = parts.config().listeners.get(protocol.name)
    if (wanted === undefined) continue
    const server = protocol.serve({
      gateway,
      credentials,
      random,
      tls: await configuredCertificate(wanted, parts.secrets),
      tlsRequired: wanted.tlsRequired,
      resolveSecret: (reference) => parts.secrets.resolve(reference),
      forgetSecret: (reference) => parts.secrets.forget(reference),
      configuredSecrets: parts.configuredSecrets,
      connection: (name) => {
        const connection = parts.config().connections.get(name)
        return connection?.protocol === protocol.name ? connection : undefined
      },
      hosts: () => parts.config().listeners.get(protocol.name)?.hosts,
      snapshots: parts.snapshots,
      offerPreview: (ticket, run) => parts.previews.offer(ticket, run),
      signIn: () => signInOf(parts.config()),
      report,
    })
    undo.push(() => server.close())
    const where = { address: wanted.address, port: wanted.port, onFault: report }
    const listener = await listen(
      server.takes === 'pipe'
        ? { ...where, onPipe: ({ pipe, admitted }) => server.accept(pipe, admitted) }
        : { ...where, onSocket: (socket, admitted) => server.accept(socket, admitted) },
    )
    undo.push(() => listener.destroy())
    open.push(listener)
    endpoints[protocol.name] = { address: listener.address, port: listener.port }
  }
  return {
    endpoints,
    close: () => {
      for (const listener of open) listener.close()
    },
  }
}

function signInOf({ issuers, api }: Config): SignIn {
  return {
    issuers: issuers.map(({ url }) => url),
    ...(api?.publicUrl === undefined ? {} : { exchange: `${api.publicUrl}/v1/credentials` }),
  }
}

async function configuredCertificate(
  wanted: ListenerConfig,
  secrets: SecretResolver,
): Promise<ServerTls | undefined> {
  if (wanted.certificate === undefined) return undefined
  const certificate = await secrets.resolve(wanted.certificate.certificate)
  return { certificate: certificate.reveal(), key: await secrets.resolve(wanted.certificate.key) }
}

/** The configured certificate, or one that the gateway made for itself and keeps, so that clients can pin it. */
export async function certificateOf(
  wanted: ListenerConfig,
  secrets: SecretResolver,
  dataDirectory: string,
  clock: Clock,
): Promise<ServerTls> {
  const configured = await configuredCertificate(wanted, secrets)
  return configured ?? (await ownCertificate(dataDirectory, clock))
}

/** The certificate in the data directory; made when there is none yet, or when the one there is about to expire. */
export async function ownCertificate(dataDirectory: string, clock: Clock): Promise<ServerTls> {
  const directory = join(dataDirectory, 'tls')
  const at = { certificate: join(directory, 'server.pem'), key: join(directory, 'server-key.pem') }
  if (!existsSync(at.certificate) || expiresSoon(readFileSync(at.certificate), clock)) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const made = await createCertificates({ names: ['localhost', '127.0.0.1', '::1'], now: clock.now() })
    writeFileSync(at.key, made.key.reveal(), { mode: 0o600 })
    writeFileSync(join(directory, 'authority.pem'), made.authority, { mode: 0o600 })
    writeFileSync(at.certificate, made.certificate, { mode: 0o600 })
  }
  return { certificate: readFileSync(at.certificate, 'utf8'), key: new Secret(readFileSync(at.key, 'utf8')) }
}

/** A gateway is started more often than this, and clients read the authority's file anew each time. */
const RENEW_MS = 30 * 24 * 60 * 60 * 1000

function expiresSoon(certificate: Buffer, clock: Clock): boolean {
  return new X509Certificate(certificate).validToDate.getTime() - clock.now() < RENEW_MS
}
