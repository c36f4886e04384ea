/**
 * Approvals: held commands that wait for people. A small state machine over requests that live in a store: joined by
 * identical commands, answered by people with a fresh login, used once, expired by the clock. Leaves to the session
 * what is held and how the client is told, to `identity` what a login is, to the store how a request is kept.
 * Promise: an approval is taken at most once, only after enough distinct people outside the requester's chain said
 * yes, only for the very command they saw, and only when that is durable; nothing ever runs by itself (P-05).
 */
export * from './approval.ts'
export * from './approvals.ts'
export type { ApprovalStore } from './port.ts'
export type { MayAnswer } from './transitions.ts'
