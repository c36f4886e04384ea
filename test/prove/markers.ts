/** The markers of `sluice policy prove`: what it finds, this finds. */
export { Markers } from '../../src/cli/policy/prove/markers.ts'
