/**
 * The vocabulary of the gateway: ids, identities, commands and their facts, decisions, entries, errors, limits, time.
 * Leaves all behaviour to others and imports nothing. Promise: a word means one thing everywhere.
 */
export * from './brand.ts'
export * from './budgets.ts'
export * from './clock.ts'
export * from './command.ts'
export * from './connection.ts'
export * from './credential.ts'
export * from './decision.ts'
export * from './entries.ts'
export * from './errors.ts'
export * from './identity.ts'
export * from './ids.ts'
export * from './limits.ts'
export * from './loopback.ts'
export * from './pipe.ts'
export * from './secret.ts'
export * from './scram-verifier.ts'
export * from './secret-ref.ts'
export * from './problem.ts'
export * from './rules.ts'
export * from './problem-details.ts'
