import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { RotationDesk } from '../api/index.ts'
import type { Config } from '../config/index.ts'
import type { SealedSecrets } from '../connections/index.ts'
import { SecretRotation } from '../connections/index.ts'
import type { Connection, RandomBytes, SecretRef } from '../core/index.ts'
import { describeSecretRef, GatewayError } from '../core/index.ts'
import { PROTOCOLS } from '../protocols/index.ts'
import type { ProbePorts, Protocol } from '../session/index.ts'

type Parts = {
  readonly sealed: SealedSecrets
  readonly random: RandomBytes
  readonly ports: ProbePorts
  config(): Config
}

/** The secrets of upstreams: since when they are what they are, and others in their place. */
export function rotationDesk({ sealed, random, ports, config }: Parts): RotationDesk {
  const rotation = new SecretRotation(sealed, random)

  const setAt = async (ref: SecretRef): Promise<number | undefined> => {
    if (ref.kind === 'store') return sealed.list().find(({ name }) => name === ref.name)?.updatedAt
    if (ref.kind !== 'file') return undefined
    // One that is not there is told of by who needs it.
    const found = await stat(resolve(dirname(config().file), ref.path)).catch(() => undefined)
    return found === undefined ? undefined : Math.round(found.mtimeMs)
  }

  return {
    async keptSecrets(connection) {
      const refs = protocolOf(connection)?.secretsOf(connection) ?? []
      return await Promise.all(
        refs.map(async (ref) => {
          const at = await setAt(ref)
          return { source: ref.kind, ...(at === undefined ? {} : { setAt: at }) }
        }),
      )
    },
    async rotate(connection, by) {
      const { rotation: way, ref } = rotatable(connection)
      const name = ref.name
      for (const other of config().connections.values()) refuseShared(connection, other, way)
      const account = {
        takes: (secret: Parameters<typeof way.takes>[2]) => way.takes(ports, connection, secret),
        replace: (now: Parameters<typeof way.takes>[2], next: Parameters<typeof way.takes>[2]) =>
          way.replace(ports, connection, now, next),
      }
      return { secret: name, ...(await rotation.rotate(name, account, by)) }
    },
  }
}

type Way = NonNullable<Protocol['rotation']>

function rotatable(connection: Connection): {
  rotation: Way
  ref: Extract<SecretRef, { kind: 'store' }>
} {
  const way = protocolOf(connection)?.rotation
  if (way === undefined) {
    throw new GatewayError(
      'unsupported',
      `An upstream of ${connection.protocol} cannot be given another secret from here.`,
      {
        remedy: 'Make a new one there, then: sluice secrets set NAME',
        retry: 'only-if-changed',
      },
    )
  }
  const ref = way.secretOf(connection)
  if (ref?.kind !== 'store') {
    const kept =
      ref === undefined
        ? 'This connection logs in without a password'
        : `It is kept in ${describeSecretRef(ref)}`
    throw new GatewayError('conflict', `${kept}, where the gateway cannot put another.`, {
      remedy: 'Keep it here: sluice secrets set NAME, and ${store:NAME} in the configuration.',
      retry: 'only-if-changed',
    })
  }
  return { rotation: way, ref }
}

/** Another connection that would be locked out, or that shows the same secret to somebody else. */
function refuseShared(connection: Connection, other: Connection, way: Way): void {
  if (other.name === connection.name || protocolOf(other)?.rotation !== way) return
  const isSameAccount = way.accountOf(other) === way.accountOf(connection)
  const isSameSecret = keyOf(way.secretOf(other)) === keyOf(way.secretOf(connection))
  if (isSameAccount === isSameSecret) return
  throw new GatewayError(
    'conflict',
    isSameAccount
      ? `${other.name} logs in as the same role with another secret, and could not any more.`
      : `${other.name} logs in elsewhere with the same secret, and could not any more.`,
    {
      remedy: isSameAccount ? 'Name the same secret in both.' : 'Give each a secret of its own.',
      retry: 'only-if-changed',
    },
  )
}

function keyOf(ref: SecretRef | undefined): string {
  return ref?.kind === 'store' ? `store ${ref.name}` : JSON.stringify(ref?.kind)
}

function protocolOf(connection: Connection): Protocol | undefined {
  return PROTOCOLS.find(({ name }) => name === connection.protocol)
}
