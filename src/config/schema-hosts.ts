import { z } from 'zod'
import { LIMITS } from '../core/index.ts'
import { line } from './values.ts'

/** Two labels at least, and no address: the last one has a letter in it. RFC 1123 section 2.1. */
const HOST =
  /^(?=.{3,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?=[0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

const host = z
  .string()
  .regex(
    HOST,
    'expected the name of a host such as gateway.example, in small letters; leave out scheme, port and a dot at its end',
  )

/** Where clients name a connection by the host they ask. */
export const hosts = z.strictObject({
  below: z
    .array(host)
    .max(LIMITS.httpHostsMax)
    .default([])
    .describe('With gateway.example here, NAME.gateway.example is the connection NAME.'),
  names: z
    .record(host, line('the name of a connection'))
    .refine(
      (names) => Object.keys(names).length <= LIMITS.httpHostsMax,
      `expected at most ${LIMITS.httpHostsMax} hosts; put the others below one that is under "below"`,
    )
    .default({})
    .describe('Other hosts, and the connection of each.'),
})

export type HostsBlock = z.output<typeof hosts>
