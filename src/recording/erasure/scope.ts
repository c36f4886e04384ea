import type { PayloadName } from '../sealed/payloads.ts'
import type { PublicPart } from '../sealed/public-part.ts'

/** What payloads are called, their numbers aside: `sealed` are all of `sealed.1`, `sealed.2` and so on; with an `input` goes its digest. */
export const PAYLOAD_KINDS = [
  'text',
  'parameters',
  'sealed',
  'body',
  'input',
  'message',
  'reason',
  'names',
] as const
export type PayloadKind = (typeof PAYLOAD_KINDS)[number]

/** Which payloads of a session are to be erased: those that match every field that is given. */
export type ErasureScope = {
  readonly payloads?: readonly PayloadKind[]
  /** Of this frame only. */
  readonly sequence?: number
  /** Only what may hold values of columns with one of these labels, masked or not. */
  readonly labels?: readonly string[]
}

/** A payload by the frame that it is of. */
export type PayloadPlace = { readonly sequence: number; readonly payload: PayloadName }

/**
 * Says of each payload of a session whether it is in the scope. Given the frames in their order: what a result may hold
 * stands in the command that it is of.
 */
export function selectorOf(scope: ErasureScope): (part: PublicPart, name: PayloadName) => boolean {
  const labelled = scope.labels === undefined ? undefined : new Concerned(scope.labels)
  return (part, name) => {
    // Every frame is looked at, also those of other kinds: a command comes before its result.
    const concerns = labelled === undefined || labelled.has(part, name)
    return (
      concerns &&
      (scope.sequence === undefined || scope.sequence === part.sequence) &&
      (scope.payloads === undefined || scope.payloads.some((kind) => kind === kindOf(name)))
    )
  }
}

export function kindOf(name: PayloadName): string {
  if (name === 'digest') return 'input'
  return name.startsWith('sealed.') ? 'sealed' : name
}

/** Follows which commands of a session have to do with some labels. */
class Concerned {
  readonly #labels: ReadonlySet<string>
  /** Numbers of commands that have not ended. */
  readonly #commands = new Set<number>()
  #ended: number | undefined

  constructor(labels: readonly string[]) {
    this.#labels = new Set(labels)
  }

  has({ kind, head }: PublicPart, name: PayloadName): boolean {
    const n = typeof head.n === 'number' ? head.n : undefined
    if (this.#ended !== undefined && n !== this.#ended) {
      this.#commands.delete(this.#ended)
      this.#ended = undefined
    }
    if (kind === 'intent') {
      if (n !== undefined && labelsOfCommand(head).some((each) => this.#labels.has(each)))
        this.#commands.add(n)
      // The text has marks where values of labelled columns stood: those are payloads of their own.
      return name.startsWith('sealed.') ? this.#isSealed(head, name) : name === 'reason' && this.#isOf(n)
    }
    if (kind === 'outcome') this.#ended = n
    if (kind !== 'result' && kind !== 'outcome' && kind !== 'notice' && kind !== 'input') return false
    return this.#isOf(n) || textsIn(head.sealed).some((each) => this.#labels.has(each))
  }

  #isOf(n: number | undefined): boolean {
    return n !== undefined && this.#commands.has(n)
  }

  #isSealed(head: PublicPart['head'], name: PayloadName): boolean {
    const field = fieldsIn(head.sealed)[Number(name.slice('sealed.'.length)) - 1]
    return textsIn(field?.labels).some((each) => this.#labels.has(each))
  }
}

/** Labels of the columns that its result may hold values of, and of the values that it was given. */
function labelsOfCommand(head: PublicPart['head']): readonly string[] {
  return [
    ...textsIn(head.masked),
    ...fieldsIn(head.columns).flatMap(({ label }) => (typeof label === 'string' ? [label] : [])),
    ...fieldsIn(head.sealed).flatMap(({ labels }) => textsIn(labels)),
  ]
}

function fieldsIn(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : []
  return list.map((each) => (typeof each === 'object' && each !== null ? { ...each } : {}))
}

function textsIn(value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : []
  return list.filter((each) => typeof each === 'string')
}

/** Details of an administrative entry stay short enough for an entry of the log. */
const RANGES_CHARACTERS_MAX = 8_000

/** What one administrative entry says of it: a payload, and the frames that it was removed from, `3,9-12`. */
export type RemovedRanges = { readonly payload: PayloadName; readonly frames: string; readonly count: number }

/**
 * Payloads that are removed, as administrative entries tell of them. `all` are the places of every payload of the session:
 * a range has no frame between its ends that keeps the payload.
 */
export function rangesOf(
  removed: readonly PayloadPlace[],
  all: readonly PayloadPlace[],
): readonly RemovedRanges[] {
  const told: RemovedRanges[] = []
  const gone = new Set(removed.map(({ sequence, payload }) => `${sequence} ${payload}`))
  for (const name of [...new Set(removed.map(({ payload }) => payload))].sort()) {
    let [frames, count] = ['', 0]
    let run: { first: number; last: number } | undefined
    const put = (): void => {
      if (run === undefined) return
      const text = run.first === run.last ? `${run.first}` : `${run.first}-${run.last}`
      frames = frames === '' ? text : `${frames},${text}`
      run = undefined
    }
    const tell = (): void => {
      put()
      if (frames !== '') told.push({ payload: name, frames, count })
      ;[frames, count] = ['', 0]
    }
    for (const { sequence, payload } of all) {
      if (payload !== name) continue
      if (!gone.has(`${sequence} ${payload}`)) {
        put()
        continue
      }
      count++
      if (run === undefined) run = { first: sequence, last: sequence }
      else run.last = sequence
      if (frames.length > RANGES_CHARACTERS_MAX) tell()
    }
    tell()
  }
  return told
}

/** A scope as it was written down. Throws on anything else. */
export function scopeIn(value: unknown): ErasureScope {
  if (typeof value !== 'object' || value === null) throw new Error('a scope is no object')
  const { payloads, sequence, labels }: { payloads?: unknown; sequence?: unknown; labels?: unknown } = value
  const kinds = PAYLOAD_KINDS.filter((each) => textsIn(payloads).includes(each))
  return {
    ...(payloads === undefined ? {} : { payloads: kinds }),
    ...(typeof sequence === 'number' ? { sequence } : {}),
    ...(labels === undefined ? {} : { labels: textsIn(labels) }),
  }
}
