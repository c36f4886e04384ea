import type { Connection } from '../../core/index.ts'
import { asGatewayError, isThisMachine } from '../../core/index.ts'
import type { Finding, ProbePorts } from '../../session/index.ts'
import type { HttpSettings } from './settings.ts'

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
    if (upstream.bearer !== undefined) await ports.resolveSecret(upstream.bearer)
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
