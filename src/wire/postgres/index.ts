/**
 * The PostgreSQL protocol, version 3, as bytes and messages, and SCRAM as both sides of it compute it.
 * Leaves to others what a conversation means (protocols/postgres), sockets and TLS (net), and time.
 * Promise: pure; a length is checked before it is believed; whatever a peer sends ends in a message or a GatewayError.
 */
export * from './client-encode.ts'
export * from './client-messages.ts'
export * from './error-fields.ts'
export * from './frame.ts'
export * from './md5.ts'
export * from './saslprep.ts'
export * from './scram-client.ts'
export * from './scram-server.ts'
export { SCRAM, SCRAM_PLUS } from './scram-common.ts'
export * from './server-encode.ts'
export * from './server-messages.ts'
export * from './startup.ts'
