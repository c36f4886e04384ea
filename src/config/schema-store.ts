import { z } from 'zod'
import { secretReference, shown } from './values.ts'

/** Where what gateways share is kept. */
export const store = z.strictObject(
  {
    dsn: secretReference({ outside: true }).describe(
      'postgresql://ROLE:PASSWORD@HOST:5432/DATABASE. TLS is checked as verify-full does.',
    ),
    ca: secretReference({ outside: true, literal: true })
      .optional()
      .describe('PEM of who signs its certificate; those that Node trusts when absent.'),
  },
  {
    error: ({ code, input }) =>
      code === 'invalid_type'
        ? `expected where the store is, got ${shown(input)}; write { dsn: "\${env:SLUICE_STORE}" }`
        : undefined,
  },
)
