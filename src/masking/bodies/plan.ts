import type { MaskingRule } from '../../core/index.ts'
import { cellMasker } from '../cell.ts'
import { JsonPaths } from '../json-paths.ts'
import type { JsonAssignment, Place } from '../json-paths.ts'
import type { CellMasker } from '../masker.ts'
import { TEXT } from '../types.ts'
import { DETECTORS } from '../detectors/index.ts'
import type { Detector, DetectorName } from '../detectors/index.ts'

/** An assignment that masked something, and how many values. */
export type MaskedPath = { readonly path: string; readonly count: number }

/** One body on its way through. */
export interface BodyMasking {
  /**
   * Takes the next bytes, any number of them, and gives what may be passed on of the body so far; the result may be a
   * view of `bytes`. Throws GatewayError `protocol_violation` as soon as the body cannot be read. What was given before
   * that is masked, but only after `end` is it known that the paths were looked for in what a client will read.
   */
  write(bytes: Uint8Array): Uint8Array
  /** The body is complete; throws as `write` does when it is not. */
  end(): Uint8Array
  /** What was masked so far. */
  readonly masked: readonly MaskedPath[]
}

/** What is looked for in free text, and how a hit is masked. */
export type DetectorAssignment = { readonly detector: DetectorName; readonly rule: MaskingRule }

/** What is masked in a body: by place and, in texts that no path hides, by look. */
export type BodyRules = {
  readonly paths: readonly JsonAssignment[]
  readonly detectors?: readonly DetectorAssignment[]
  /** A text at a place that paths lead through may be JSON itself: look for the paths in it, too. */
  readonly nested?: boolean
}

/** A detector with the mask of its hits. */
export type ArmedDetector = Detector & { readonly number: number; readonly masker: CellMasker }

/** What stands in the list of masked paths for what was hidden because it could not be looked into. */
const UNREADABLE = '(unreadable)'

/** Rules made ready. Holds nothing of a body: one serves any number of them. Throws GatewayError `invalid` for a path. */
export class BodyPlan {
  readonly paths: JsonPaths
  readonly detectors: readonly ArmedDetector[]
  readonly nested: boolean
  /** Texts that no path hides are read. */
  readonly looksIntoTexts: boolean

  constructor(rules: BodyRules) {
    this.paths = new JsonPaths(rules.paths)
    this.detectors = (rules.detectors ?? []).map(({ detector, rule }, number) => ({
      ...DETECTORS[detector],
      number,
      // In the middle of a text there is no null: a hit goes whole.
      masker: cellMasker(rule.kind === 'null' ? { kind: 'full' } : rule, TEXT, 'text'),
    }))
    this.nested = rules.nested === true && rules.paths.length > 0
    this.looksIntoTexts = this.nested || this.detectors.length > 0
  }

  /** Made once for the same rules. */
  static of(rules: BodyRules): BodyPlan {
    let plan = PLANS.get(rules)
    if (plan === undefined) PLANS.set(rules, (plan = new BodyPlan(rules)))
    return plan
  }

  tally(): Tally {
    return new Tally(this.paths.assignments.length, this.detectors.length)
  }
}

const PLANS = new WeakMap<BodyRules, BodyPlan>()

/** What was masked in one body. */
export class Tally {
  readonly #paths: number[]
  readonly #hits: number[]
  #unreadable = 0

  constructor(paths: number, detectors: number) {
    this.#paths = Array.from({ length: paths }, () => 0)
    this.#hits = Array.from({ length: detectors }, () => 0)
  }

  /** A value at this place was masked. */
  count(place: Place): void {
    for (const n of place.assignments) this.#paths[n] = (this.#paths[n] ?? 0) + 1
  }

  hit(detector: ArmedDetector): void {
    this.#hits[detector.number] = (this.#hits[detector.number] ?? 0) + 1
  }

  /** What another body, inside of this one, had masked. */
  add(inner: Tally): void {
    inner.#paths.forEach((count, n) => {
      this.#paths[n] = (this.#paths[n] ?? 0) + count
    })
    inner.#hits.forEach((count, n) => {
      this.#hits[n] = (this.#hits[n] ?? 0) + count
    })
    this.#unreadable += inner.#unreadable
  }

  unreadable(): void {
    this.#unreadable++
  }

  masked(plan: BodyPlan): readonly MaskedPath[] {
    const paths = plan.paths.assignments.map(({ path }, n) => ({ path, count: this.#paths[n] ?? 0 }))
    const hits = plan.detectors.map(({ name, number }) => ({ path: name, count: this.#hits[number] ?? 0 }))
    const all = [...paths, ...hits, { path: UNREADABLE, count: this.#unreadable }]
    return all.filter(({ count }) => count > 0)
  }
}
