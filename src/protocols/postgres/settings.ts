import { z } from 'zod'
import { duration, line, lineOrReference, secretReference } from '../../config/values.ts'

/** More is nothing that one looks at. */
const PREVIEW_ROWS_MAX = 100

/** How far the server's identity is checked: libpq's words and meanings. */
const sslmode = z.enum(['disable', 'prefer', 'require', 'verify-ca', 'verify-full'])

/** What a PostgreSQL connection says besides what every connection does. */
export const postgresSettings = z.strictObject({
  upstream: z.strictObject({
    /** A name or address; a path is the directory of a Unix socket. */
    host: line('a host'),
    port: z.int().min(1).max(65_535).default(5432),
    user: lineOrReference('a role'),
    password: secretReference().optional(),
    sslmode: sslmode.default('verify-full'),
    sslrootcert: secretReference({ literal: true }).optional(),
    sslcert: secretReference({ literal: true }).optional(),
    sslkey: secretReference().optional(),
    channelBinding: z.enum(['prefer', 'require']).default('prefer'),
  }),
  /** The databases that may be opened, by their real names. Empty: none. */
  databases: z.array(line('a database')).default([]),
  /** Adds the session id to `application_name` upstream, so that its DBA finds the session. */
  tagApplicationName: z.boolean().default(true),
  /** Says in a notice behind the rows what was masked in them, once per shape of statement and session. */
  maskedNotice: z.boolean().default(true),
  /** Says every 12 s, while a command waits for people, that it still does and for how long. */
  waitingNotice: z.boolean().default(true),
  /** The name of the schema whose questions the gateway answers itself; another where it clashes, empty for none. */
  virtualSchema: z
    .string()
    .regex(/^(?:[a-z_][a-z0-9_]{0,62})?$/, 'expected a name in lower case, or nothing')
    .default('sluice'),
  /** Approvers may have a held command tried out, in a transaction that is rolled back. */
  preview: z
    .strictObject({
      enabled: z.boolean().default(false),
      /** Changed rows that are shown. */
      rows: z.int().min(0).max(PREVIEW_ROWS_MAX).default(10),
      /** How long it may take, and how long it may wait for what others have locked. */
      timeout: duration({ min: 100, max: 60_000 }).default(5_000),
      lockTimeout: duration({ min: 10, max: 10_000 }).default(1_000),
      /** Functions of the database that triggers and defaults may run in it, `schema.name`: rolled back, they leave no trace. */
      functions: z.array(line('a function, as schema.name')).max(100).default([]),
    })
    .prefault({}),
  /** How often definitions changed around the gateway are looked for. */
  catalogueEvery: duration({ min: 200, max: 60_000 }).default(2_000),
})

export type PostgresSettings = z.output<typeof postgresSettings>
