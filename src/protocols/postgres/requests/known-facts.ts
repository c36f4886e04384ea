import type { Facts } from '../../../core/index.ts'

/** What reads and changes nothing. */
export const NOTHING_READ: Facts = {
  class: 'read',
  statements: [{ class: 'read' }],
  reads: [],
  writes: [],
  calls: [],
  labels: [],
  touches: [],
  filters: [],
  stores: [],
  unbounded: false,
  writesEverything: false,
  redefines: false,
  attributes: { parsed: true },
}

/** Of what is only known by a name. */
export function opaqueFacts(): Facts {
  return {
    class: 'opaque',
    statements: [{ class: 'opaque' }],
    reads: [],
    writes: [],
    calls: [],
    labels: [],
    touches: [],
    filters: [],
    stores: [],
    unbounded: true,
    writesEverything: false,
    redefines: false,
    attributes: { parsed: false },
  }
}
