/**
 * Sockets become bounded byte streams here: listening, dialling, TLS on either side, deadlines, backpressure.
 * Leaves to others what the bytes mean, who may speak, and when a stream has been spoken on long enough.
 * Promise: nothing here queues without a bound, no peer can hold a socket unauthenticated past its deadline, and a
 * stream that breaks says so exactly once, through `onClose`.
 */
export { createCertificates, writeCertificates } from './certificates.ts'
export type { Certificates } from './certificates.ts'
export { dial } from './dial.ts'
export { listen } from './listener.ts'
export type { Accepted, Listener, ListenLimits, ListenOptions } from './listener.ts'
export { network } from './network.ts'
export { secureClient, secureServer } from './tls.ts'
