/**
 * Counts what happens, as Prometheus reads it. Leaves what happened to the recording: a number here names no identity,
 * no connection and no value, so that whoever may only ask for numbers learns nothing else. Promise: counting costs a
 * command less than a microsecond, and can never be the reason why one fails.
 */
export { meteredJournal } from './metered-journal.ts'
export type { Gauges } from './metrics.ts'
export { Metrics } from './metrics.ts'
