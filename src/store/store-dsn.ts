import { rootCertificates } from 'node:tls'
import type { ClientConfig } from 'pg'
import type { Secret } from '../core/index.ts'
import { GatewayError, isThisMachine } from '../core/index.ts'

/** Where a store in PostgreSQL is. */
export type PostgresStoreSettings = {
  /** `postgresql://ROLE:PASSWORD@HOST:PORT/DATABASE`; a secret, for the password in it. */
  readonly dsn: Secret
  /** PEM of who signs the server's certificate; those that Node trusts when absent. */
  readonly ca?: string | undefined
}

/** What a connection is made with, and how messages call the store: without its password. */
export type StoreTarget = { readonly options: ClientConfig; readonly name: string }

/**
 * Reads the DSN of a store. TLS is checked as `verify-full` of libpq does; `sslmode=disable` is for this machine only.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
 * Throws `invalid`, without anything of the DSN.
 */
export function storeTarget({ dsn, ca }: PostgresStoreSettings): StoreTarget {
  const url = URL.parse(dsn.reveal())
  if (url === null || !['postgres:', 'postgresql:'].includes(url.protocol))
    throw refused('The DSN of the store is no DSN of a PostgreSQL database.')
  for (const name of url.searchParams.keys())
    if (name !== 'sslmode' && name !== 'host')
      throw refused(`The DSN of the store has a parameter that is not known: ${name}.`)
  const host = url.searchParams.get('host') ?? decoded(url.hostname.replaceAll(/[[\]]/g, ''))
  const user = decoded(url.username)
  const database = decoded(url.pathname.slice(1))
  if (host === '' || user === '' || database === '')
    throw refused('The DSN of the store names no host, no role or no database.')
  const sslmode = url.searchParams.get('sslmode') ?? (host.startsWith('/') ? 'disable' : 'verify-full')
  if (sslmode !== 'verify-full' && sslmode !== 'disable')
    throw refused(`The DSN of the store asks for sslmode=${safeMode(sslmode)}, which checks too little.`)
  if (sslmode === 'disable' && !isThisMachine(host))
    throw refused('The DSN of the store switches TLS off, and the store is on another machine.')
  const port = url.port === '' ? 5432 : Number(url.port)
  const password = decoded(url.password)
  return {
    name: `${host}:${port}/${database}`,
    options: {
      host,
      port,
      user,
      database,
      ...(password === '' ? {} : { password }),
      // Node checks the name in the certificate against `host`.
      ssl:
        sslmode === 'disable'
          ? false
          : { rejectUnauthorized: true, host, ca: ca === undefined ? [...rootCertificates] : [ca] },
      enableChannelBinding: true,
    },
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw refused('The DSN of the store has a % that begins no character.')
  }
}

function safeMode(mode: string): string {
  return ['allow', 'prefer', 'require', 'verify-ca'].includes(mode) ? mode : 'something unknown'
}

function refused(message: string): GatewayError {
  return new GatewayError('invalid', message, {
    remedy:
      'Write it like postgresql://ROLE:PASSWORD@HOST:5432/DATABASE; ?sslmode=disable is for a store on this machine.',
    retry: 'only-if-changed',
  })
}
