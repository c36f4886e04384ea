/**
 * Approvals: held commands that wait for people. A small state machine over requests that live in a store: joined by
 * identical commands, answered by people with a fresh login along a route, used as often as was approved, expired by the
 * clock, superseded by other rules and definitions. Leaves to the session
 * what is held and how the client is told, to `identity` what a login is, to the store how a request is kept.
 * Promise: an approval is taken at most as often as people chose, only after enough distinct people outside the
 * requester's chain said yes, only for the command they saw or one of its shape if they chose so, and only when that is
 * durable; nothing ever runs by itself (P-05).
 */
export type { Access } from './access.ts'
export { AccessGrants, accessInput } from './access.ts'
export type { MayAnswer } from './answering.ts'
export * from './approval.ts'
export * from './approvals.ts'
export { answersThrough, throughChannel } from './channel.ts'
export type { ApprovalStore } from './port.ts'
export { Previews } from './previews.ts'
export type { Reuse, Use } from './reuse.ts'
export type { NamedRoute, Route, Routes } from './route.ts'
export { peopleNeeded } from './route.ts'
export type { WaitOutcome } from './waiters.ts'
