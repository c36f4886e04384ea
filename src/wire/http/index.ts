/**
 * HTTP as far as it is ours: request targets in one normal form, route patterns, which fields pass. Framing is left to
 * node:http and undici, whose only importer is protocols/http. Promise: pure; what two readers could read in two ways
 * is refused.
 */
export * from './another-method.ts'
export * from './framing.ts'
export * from './headers.ts'
export * from './media-types.ts'
export * from './own-addresses.ts'
export * from './path.ts'
export * from './prefer.ts'
export * from './query.ts'
export * from './route-pattern.ts'
export * from './websocket.ts'
