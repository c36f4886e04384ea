/**
 * The pipeline: open, decide, record, hold, forward, meter, close; the same for every protocol. Leaves wire formats to
 * the adapters, sockets to net, rules to policy. Promise: there is no second way to an upstream.
 */
export type { LiveSession } from './gateway.ts'
export { Gateway } from './gateway.ts'
export type { Judgement } from './judgements.ts'
export type {
  ApprovalDesk,
  ApprovalInput,
  BudgetDesk,
  CredentialDesk,
  Spending,
  WaitOutcome,
} from './ports.ts'
export type { Held, Housekeeping, Permitted } from './flights.ts'
export { housekeeping, isHeld } from './flights.ts'
export type { Input } from './input.ts'
export { ownJudgement } from './own.ts'
export { patienceOf } from './patience.ts'
export { afterFailing, afterGoingOn, effectError } from './refusals.ts'
export type { HoldObserver, ToldMeanwhile } from './people.ts'
export type { ProbePorts } from './probe-ports.ts'
export type { Rotation } from './rotation.ts'
export type { Opening, Session } from './session.ts'
export type { Ground } from './session-scope.ts'
export type {
  BodyKind,
  BodyMasking,
  BodyRules,
  CellMasker,
  ColumnRule,
  DetectorAssignment,
  DetectorName,
  JsonAssignment,
  MaskedPath,
  NeutralName,
  OutwardKnown,
  ValueFormat,
  ValueType,
} from '../masking/index.ts'
export {
  BodyPlan,
  cellMasker,
  columnMasker,
  DETECTOR_NAMES,
  maskBody,
  maskedCell,
  NOTHING,
  OTHER,
  outwardIn,
  parseJsonPath,
  TEXT,
  withoutSecrets,
} from '../masking/index.ts'
export type {
  ExplainedOutput,
  Explanation,
  ExplainQuestion,
  Finding,
  Protocol,
  ProtocolContext,
  ProtocolServer,
  RecordedCommand,
  Rejudged,
  Rejudge,
  RejudgedSession,
  SignIn,
  Snapshots,
} from './protocol.ts'
