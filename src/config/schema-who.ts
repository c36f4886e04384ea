import { z } from 'zod'
import { IDENTITY_KINDS } from '../core/index.ts'
import { line } from './values.ts'

const lists = {
  groups: z.array(line('the name of a group')).optional(),
  identities: z.array(line('an identity')).optional(),
  kinds: z.array(z.enum(IDENTITY_KINDS)).optional(),
}

/** Whom a part of the configuration is about: every list that is given has to match. */
export const who = z.union([z.literal('everyone'), z.strictObject(lists)])

/** The same of a rule, which may be about who has been granted something for a time. */
export const whoOrGranted = z.union([
  z.literal('everyone'),
  z.strictObject({
    ...lists,
    access: z
      .array(line('the name of access'))
      .optional()
      .describe('Who has been granted any of this, as long as the grant lasts.'),
  }),
])

export type WhoBlock = z.output<typeof whoOrGranted>
