/** Read by drizzle-kit. Paths are its working folder's, but for the schema, which has to find drizzle-orm. */
export default {
  dialect: 'postgresql',
  schema: process.env['SLUICE_TEST_SCHEMA'] ?? '',
  out: './migrations',
  dbCredentials: { url: process.env['SLUICE_TEST_DSN'] ?? '' },
  tablesFilter: ['kit_*'],
}
