import type { Connection } from '../../core/index.ts'
import { asGatewayError, isThisMachine, systemClock } from '../../core/index.ts'
import type { Finding, ProbePorts } from '../../session/index.ts'
import { credentialOf } from '../../upstream-credentials/index.ts'
import type { HttpSettings } from './settings.ts'
import { credentialSettings } from './settings.ts'

const DIAL_MS = 10_000

/** Reaches the upstream's port and has its credential; sends no request, since any may have an effect. */
export async function probeHttp(
  ports: ProbePorts,
  connection: Connection<HttpSettings>,
): Promise<readonly Finding[]> {
  const { upstream, routes } = connection.settings
  const url = new URL(upstream.url)
  const tls = url.protocol === 'https:'
  const host = url.hostname.replaceAll(/[[\]]/g, '')
  const findings: Finding[] = []
  try {
    const plain = await ports.network.dial({
      host,
      port: Number(url.port === '' ? (tls ? 443 : 80) : url.port),
      timeoutMs: DIAL_MS,
    })
    const pipe = tls ? await ports.network.secureClient(plain, { verify: 'full', servername: host }) : plain
    pipe.destroy()
    findings.push({
      level: 'ok',
      message: `${url.origin} answers${tls ? ', and its certificate is verified' : ''}.`,
    })
    if (!tls && !isThisMachine(host)) {
      findings.push({
        level: 'problem',
        message: `The line to ${url.origin} is not encrypted.`,
        remedy: 'Use an https:// URL.',
      })
    }
    await checkCredential(ports, connection.settings)
  } catch (error) {
    const { message, remedy } = asGatewayError(error)
    findings.push({
      level: 'problem',
      message: `${url.origin}: ${message}`,
      ...(remedy === undefined ? {} : { remedy }),
    })
  }
  if (routes.length === 0) {
    findings.push({
      level: 'warning',
      message: 'No route exists, so every request is refused.',
      remedy: 'List some under routes.',
    })
  }
  return findings
}

/** Reads what the credential is made of, and asks no issuer: one that rotates would take the token of the gateway that runs. */
async function checkCredential(ports: ProbePorts, settings: HttpSettings): Promise<void> {
  const written = credentialSettings(settings)
  if (written === undefined) return
  const nothing = (): void => undefined
  const made = credentialOf(written, {
    clock: systemClock,
    resolveSecret: (reference) => ports.resolveSecret(reference),
    forgetSecret: nothing,
    report: nothing,
  })
  await made.check()
}
