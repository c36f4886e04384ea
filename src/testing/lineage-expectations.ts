import type { Facts, LabelAssignment } from '../core/index.ts'
import { brand } from '../core/index.ts'
import { CHECKED, JUDGED } from './judged-cases.ts'
import { ESCAPES, FILTERS, STORES, TOUCHES, UNTOUCHED } from './lineage-cases.ts'
import { SAMPLE_LABELS } from './sample-catalogue.ts'

/** What facts say of labels, in words that a test can write down. */
export type Told = {
  /** Labels that escape. */
  readonly escape: string
  readonly escapes: boolean
  readonly filters: string
  readonly touches: string
  readonly stores: string
  /** `id email=pii.email lower=pii.email!` for each output; `!` is a computed one, `-` that none are told. */
  readonly outputs: string
  /** Labels in the result. */
  readonly labels: string
}

/** A statement and what has to be said of it. */
export type LineageCase = {
  readonly group: string
  readonly text: string
  readonly labels?: readonly LabelAssignment[]
  readonly expected: Partial<Told>
}

const QUIET = { escape: '', filters: '' }

/** Views whose columns have labels of their own. */
const LABELLED_VIEW: readonly LabelAssignment[] = [
  ...SAMPLE_LABELS,
  { pattern: 'public.customer_names.n', label: brand('pii.name') },
]

export const LINEAGE_CASES: readonly LineageCase[] = [
  ...UNTOUCHED.map(([text, outputs]) => ({
    group: 'labelled columns may be handed out untouched',
    text,
    expected: { ...QUIET, touches: '', outputs, labels: labelsIn(outputs) },
  })),
  {
    group: 'labelled columns may be handed out untouched',
    text: 'SELECT n FROM customer_names',
    labels: LABELLED_VIEW,
    expected: { ...QUIET, touches: '', outputs: 'n=pii.name', labels: 'pii.name' },
  },
  ...TOUCHES.map(([text, touches, outputs]) => ({
    group: 'the touch rule allows',
    text,
    expected: { ...QUIET, touches, outputs },
  })),
  ...STORES.map(([text, stores, touches]) => ({
    group: 'labelled columns are written with values of the client or of unlabelled columns',
    text,
    expected: { ...QUIET, stores, touches },
  })),
  ...FILTERS.map(([text, filters, outputs]) => ({
    group: 'any other use of a labelled column is a filter, and what is made of it is computed',
    text,
    expected: { escape: '', filters, outputs, labels: labelsIn(outputs) },
  })),
  ...ESCAPES.map(([text, escape]) => ({
    group: 'where masks cannot follow, labelled values escape',
    text,
    expected: { escape },
  })),
  ...[...Object.values(JUDGED), ...CHECKED].map((text) => ({
    group: 'what is not followed is an escape',
    text,
    expected: { escapes: true },
  })),
]

export function toldOf(facts: Facts, statement = 0): Told {
  const outputs = facts.statements[statement]?.outputs?.map(({ name, labels, computed }) =>
    labels === undefined ? name : `${name}=${labels.join('+')}${computed === true ? '!' : ''}`,
  )
  return {
    escape: facts.escape?.labels.join(',') ?? '',
    escapes: facts.escape !== undefined,
    filters: facts.filters.join(','),
    touches: facts.touches.join(','),
    stores: facts.stores.join(','),
    outputs: outputs?.join(' ') ?? '-',
    labels: facts.labels.join(','),
  }
}

/** What of the expectation is not met; empty when the test of this case would pass. */
export function complaints({ expected }: LineageCase, facts: Facts): string[] {
  const told: Readonly<Record<string, string | boolean>> = toldOf(facts)
  return Object.entries(expected).flatMap(([what, wanted]) =>
    told[what] === wanted ? [] : [`${what}: ${told[what]} in place of ${wanted}`],
  )
}

/** The labels among outputs as they are shown. */
function labelsIn(outputs: string): string {
  const labels = [...outputs.matchAll(/=(\S+)/g)].flatMap((match) => (match[1] ?? '').split(/[+!]/))
  return [...new Set(labels.filter((label) => label !== ''))].sort().join(',')
}
