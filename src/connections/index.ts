/**
 * Where the credentials for upstreams come from: variables, files, commands, and a store of sealed secrets.
 *
 * Leaves to others what a connection is (core, configuration), reaching it (net) and logging in to it (protocols).
 * Promise: a secret is held in a `Secret`, which does not show itself; on the disk it is sealed under a key that is
 * not beside it; and no error, log or answer says more of it than its name.
 */
export * from './configured-secrets.ts'
export * from './log-keys.ts'
export * from './masking-keys.ts'
export * from './master-key.ts'
export * from './port.ts'
export * from './recording-keys.ts'
export * from './resolve.ts'
export * from './rotate.ts'
export * from './sealed.ts'
export type { Warn } from './secret-file.ts'
