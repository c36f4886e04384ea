import { z } from 'zod'
import type { Identity, IdentityChain } from '../core/index.ts'
import { IDENTITY_KINDS } from '../core/index.ts'

/** What lies in JSON columns, parsed before it is believed: the file may be older than the code, or tampered with. */

export const identitySchema = z.strictObject({
  kind: z.enum(IDENTITY_KINDS),
  name: z.string(),
  issuer: z.string(),
  groups: z.array(z.string()),
}) satisfies z.ZodType<Identity>

export const chainSchema = z.tuple([identitySchema], identitySchema) satisfies z.ZodType<IdentityChain>
