import { z } from 'zod'
import { isSafeUrl } from './schema-channels.ts'
import { line, secretReference } from './values.ts'

const mount = (name: string) =>
  z
    .string()
    .max(256)
    .regex(/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/, 'expected where it is mounted, without "auth/"')
    .default(name)

const outside = () => secretReference({ outside: true })

const auth = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('token'), token: outside() }),
  z.strictObject({
    kind: z.literal('appRole'),
    mount: mount('approle'),
    roleId: outside(),
    secretId: outside(),
  }),
  z.strictObject({
    kind: z.literal('kubernetes'),
    mount: mount('kubernetes'),
    role: line('a role'),
    jwt: outside().prefault('${file:/var/run/secrets/kubernetes.io/serviceaccount/token}'),
  }),
])

/** A Vault that "${vault:PATH#FIELD}" is read from. */
export const vault = z.strictObject({
  url: line('a URL', 2048).refine(
    (text) => isSafeUrl(text) && new URL(text).pathname === '/',
    'expected a URL that begins with https:// and has no path; plain http is accepted for this machine only',
  ),
  namespace: line('a namespace').optional(),
  ca: secretReference({ outside: true, literal: true })
    .optional()
    .describe('PEM of who signs its certificate; those that Node trusts when absent.'),
  auth: auth.describe('Who the gateway is to it.'),
})
