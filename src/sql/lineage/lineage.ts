import type { PathLabel } from '../../core/command.ts'
import type { LabelName } from '../../core/ids.ts'
import type { Column } from '../catalogue/catalogue.ts'

/** A column of a relation, as the server reports it in the description of a result. */
export type Source = { readonly relation: number; readonly attribute: number; readonly type: number }

/**
 * Where a value comes from: the labels of every column it may depend on, and whether it is an untouched copy of such a
 * column (masked by the rule of its label) or more than that (hidden whole).
 */
export type Lineage = {
  readonly labels: readonly LabelName[]
  readonly computed: boolean
  /** All of its labels are of what lies at these paths, and it is a copy: nothing else of it is protected. */
  readonly paths?: readonly PathLabel[]
  /** What the server will name as its origin: a column through any number of subqueries, but for set operations. */
  readonly source?: Source
  /** It may as well be a value from elsewhere that is not protected: what is shown of it is shown beside its value. */
  readonly mixed?: true
  /** NULL, wherever it goes. */
  readonly isNull?: true
  /** The oid of its type, where it is known. */
  readonly type?: number
  /** Of a table's column: what is equal to it may be many values. */
  readonly loose?: true
}

export type OutputColumn = Lineage & {
  readonly name: string
} & Pick<Column, 'unique' | 'overlaps' | 'asks'>

const NO_LABELS: readonly LabelName[] = []

/** Depends on nothing labelled. */
export const CLEAR: Lineage = { labels: NO_LABELS, computed: false }

/** `unknown`, the type of a literal in quotes and of NULL: it becomes whatever it stands beside. */
const UNKNOWN_TYPE = 705
export const LITERAL: Lineage = { labels: NO_LABELS, computed: false, type: UNKNOWN_TYPE }
export const NULL: Lineage = { ...LITERAL, isNull: true }

export function hasLabels(lineage: Lineage): boolean {
  return lineage.labels.length > 0
}

/** More than a copy of anything: it depends on all of these labels. */
export function computedFrom(labels: readonly LabelName[]): Lineage {
  return labels.length === 0 ? CLEAR : { labels, computed: true }
}

export function unionOf(all: Iterable<{ readonly labels: readonly LabelName[] }>): readonly LabelName[] {
  let first: readonly LabelName[] = NO_LABELS
  let more: Set<LabelName> | undefined
  for (const { labels } of all) {
    if (labels.length === 0 || labels === first) continue
    if (first.length === 0) first = labels
    else {
      more ??= new Set(first)
      for (const label of labels) more.add(label)
    }
  }
  return more === undefined ? first : [...more].sort()
}

/**
 * One value out of several places, such as the arms of UNION ALL: it is a copy as long as each of its labelled sources
 * is, and the server names no origin for it.
 */
export function eitherOf(all: readonly Lineage[]): Lineage {
  const types = new Set(all.map((each) => each.type ?? 0))
  if (types.size > 1) types.delete(UNKNOWN_TYPE)
  const [type = 0] = types.size === 1 ? types : []
  const paths = pathsOfAll(all.filter(hasLabels))
  const values = all.filter((each) => each.isNull !== true)
  return {
    ...(paths === undefined ? {} : { paths }),
    ...(isMixed(values) ? { mixed: true } : {}),
    ...(values.length === 0 ? { isNull: true } : {}),
    labels: unionOf(all),
    computed: all.some((each) => each.computed && hasLabels(each)),
    ...(type === 0 ? {} : { type }),
  }
}

/** Labelled values and others in one place. */
export function isMixed(values: readonly Lineage[]): boolean {
  const labelled = values.filter(hasLabels).length
  return values.some((each) => each.mixed === true) || (labelled > 0 && labelled < values.length)
}

/** Those of every one; undefined as soon as one of them is protected as a whole. */
function pathsOfAll(all: readonly Lineage[]): readonly PathLabel[] | undefined {
  const paths: PathLabel[] = []
  for (const each of all) {
    if (each.paths === undefined) return undefined
    for (const one of each.paths) if (!holds(paths, one)) paths.push(one)
  }
  return paths.length === 0 ? undefined : paths
}

function holds(paths: readonly PathLabel[], { path, label }: PathLabel): boolean {
  return paths.some((each) => each.path === path && each.label === label)
}

/** Whether what is protected in the one is protected in the other. */
export function samePaths(a: readonly PathLabel[] | undefined, b: readonly PathLabel[] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.every((each) => holds(b, each)) && b.every((each) => holds(a, each))
}

export function sameLineage(a: Lineage, b: Lineage): boolean {
  return (
    a.computed === b.computed &&
    a.mixed === b.mixed &&
    a.isNull === b.isNull &&
    samePaths(a.paths, b.paths) &&
    a.labels.length === b.labels.length &&
    a.labels.every((label) => b.labels.includes(label))
  )
}
