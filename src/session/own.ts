import { UNLIMITED } from '../core/index.ts'
import type { Judgement, Scope } from './judgements.ts'

/** It is kept nowhere, and stands by itself. */
const NOWHERE: Scope = { judgements: new Map(), dropped: true }

/**
 * The judgement of a question that the gateway answers itself, about what this very identity may do and has done: no
 * rule is asked, nothing is forwarded, and it is recorded like any command.
 */
export function ownJudgement(resource: string): Judgement {
  return {
    scope: NOWHERE,
    facts: {
      class: 'read',
      statements: [{ class: 'read' }],
      reads: [resource],
      writes: [],
      calls: [],
      labels: [],
      touches: [],
      filters: [],
      stores: [],
      unbounded: false,
      writesEverything: false,
      redefines: false,
      attributes: { parsed: true, reach: false },
    },
    decision: { kind: 'allow', masks: new Map(), limit: UNLIMITED, rules: [], observed: [], volatile: false },
  }
}
