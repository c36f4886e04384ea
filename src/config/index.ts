/**
 * Reads sluice.yaml: as a whole or not at all, every problem with its place and the fix.
 *
 * Leaves to others the settings of a protocol (its own schema, handed in), fetching secrets (connections), compiling
 * rules (policy) and keeping versions (store). Promise: what it hands out is typed, complete and immutable; an empty
 * or missing list means nothing is allowed; and no message repeats what could be a secret.
 */
export type { AccessBlock, Approving, Holders, HoursBlock, RouteBlock } from './approving.ts'
export type { ChannelBlock } from './channel-block.ts'
export type { Config, Issuer, Listener, LocalIdentity } from './config.ts'
export type { Change } from './diff.ts'
export { diffConfigs, formatChange } from './diff.ts'
export { jsonSchema } from './json-schema.ts'
export type { LoadOptions, LoadResult, ProtocolSchema } from './load.ts'
export { loadConfig } from './load.ts'
export type { Role } from './schema.ts'
export { ROLES } from './schema.ts'
export { isEndpoint, placeIn } from './schema-bucket.ts'
