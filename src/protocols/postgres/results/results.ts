import type { CopyForm, Facts, LabelName, MaskingRule, Output } from '../../../core/index.ts'
import { GatewayError, LIMITS } from '../../../core/index.ts'
import type { CellMasker, ColumnRule, ValueFormat } from '../../../session/index.ts'
import { columnMasker, maskedCell, NOTHING } from '../../../session/index.ts'
import type { CopyFormats, FieldDescription } from '../../../wire/postgres/index.ts'
import { HEADER_BYTES } from '../../../wire/postgres/index.ts'
import type { CopyRows } from './copy-rows.ts'
import { copyRows } from './copy-rows.ts'
import type { TypeLookup } from './result-types.ts'
import type { RowTarget } from './row-target.ts'

/** What happens to each column of one result. */
export type ResultPlan = {
  readonly outputs: readonly Output[]
  /** The rows are those of COPY, written like this. */
  readonly copy?: CopyForm
  /** By position: what hides the values; undefined: they are forwarded as they are. */
  readonly rules: readonly (ColumnRule | undefined)[]
  /** By position: the type of the values, as the catalogue has it, or better the server; 0 is not known. */
  readonly types: readonly number[]
  /** By position: what does it. Until formats and types are known (`fit`), values are hidden whole. */
  readonly columns: readonly (CellMasker | undefined)[]
  /** Some column is masked, so rows have to be looked into. */
  readonly masks: boolean
  /** Some column has a label, masked or not. */
  readonly labelled: boolean
  /** How many bytes longer a masked row may be. */
  readonly grows: number
  /** Chosen for these formats, with the types of this lookup. */
  readonly fitted?: Fitted
}

type Fitted = { readonly formats: Formats; readonly typeOf: TypeLookup }

/** Codes as in Bind: none is text, one is for all columns. */
export type Formats = readonly number[]

function resultPlan(
  { outputs, copy }: Pick<ResultPlan, 'outputs' | 'copy'>,
  rules: readonly (ColumnRule | undefined)[],
  types: readonly number[],
  fitted?: Fitted,
): ResultPlan {
  const columns = rules.map((rule, i) => {
    if (rule === undefined) return undefined
    if (fitted === undefined) return NOTHING
    return columnMasker(rule, fitted.typeOf(types[i] ?? 0), formatOf(fitted.formats, i))
  })
  let grows = 0
  for (const column of columns) grows += column?.grows ?? 0
  const masks = rules.some((each) => each !== undefined)
  return {
    outputs,
    ...(copy === undefined ? {} : { copy }),
    rules,
    types,
    columns,
    masks,
    labelled: outputs.some((each) => each.labels !== undefined),
    grows,
    ...(fitted === undefined ? {} : { fitted }),
  }
}

function formatOf(formats: Formats, column: number): ValueFormat {
  const code = formats.length === 1 ? formats[0] : formats[column]
  return code === 1 ? 'binary' : 'text'
}

/** NULL is a value of every type. */
const HIDE: MaskingRule = { kind: 'null' }

/** One plan per statement of the batch; undefined where nothing was analysed because no label is in reach. */
export function planResults(
  facts: Facts,
  masks: ReadonlyMap<LabelName, MaskingRule>,
): readonly (ResultPlan | undefined)[] {
  return facts.statements.map((statement) => {
    const { outputs, copy } = statement
    if (outputs === undefined) return undefined
    return resultPlan(
      { outputs, ...(copy === undefined ? {} : { copy }) },
      outputs.map((output) => ruleFor(output, masks)),
      outputs.map((output) => output.type ?? 0),
    )
  })
}

function ruleFor(output: Output, masks: ReadonlyMap<LabelName, MaskingRule>): ColumnRule | undefined {
  if (output.labels?.some((label) => masks.has(label)) !== true) return undefined
  if (output.paths === undefined || output.computed === true) return maskOf(output, masks)
  const paths = output.paths.flatMap(({ path, label }) => {
    const rule = masks.get(label)
    return rule === undefined ? [] : [{ path, rule: among(output, rule) }]
  })
  return { kind: 'paths', paths }
}

/** How an output that is masked is hidden, in the words of the configuration; of two rules neither shows anything. */
export function maskOf(output: Output, masks: ReadonlyMap<LabelName, MaskingRule>): MaskingRule {
  if (output.computed === true) return { kind: 'full' }
  const rules = (output.labels ?? []).flatMap((label) => masks.get(label) ?? [])
  const [rule, ...others] = rules
  const agree = others.every((other) => JSON.stringify(other) === JSON.stringify(rule))
  return rule !== undefined && agree ? among(output, rule) : { kind: 'null' }
}

/** Whoever puts values of its own beside protected ones would learn what a key makes of them. */
function among(output: Output, rule: MaskingRule): MaskingRule {
  const isKeyed = rule.kind === 'hash' || rule.kind === 'pseudonym'
  return isKeyed && output.mixed === true ? { kind: 'full' } : rule
}

const FITTED = new WeakMap<ResultPlan, Map<string, ResultPlan>>()

/** Chooses the maskers for values in these formats. The same plan for the same plan and formats. */
export function fit(plan: ResultPlan, formats: Formats, typeOf: TypeLookup): ResultPlan {
  if (!plan.masks) return plan
  let known = FITTED.get(plan)
  if (known === undefined) {
    known = new Map()
    FITTED.set(plan, known)
  }
  const key = formats.join()
  const before = known.get(key)
  if (before?.fitted?.typeOf === typeOf) return before
  const fitted = resultPlan(plan, plan.rules, plan.types, { formats, typeOf })
  if (known.size < FORMATS_KEPT) known.set(key, fitted)
  return fitted
}

const FORMATS_KEPT = 16

/** Whether labelled values could come from a relation; or, where its attribute is named, from this column of a table. */
export type InReach = (relation: number, attribute?: number) => boolean

/**
 * Holds the server's own description against the analysis. It comes after execution has begun, so it can only
 * tighten: where the two disagree about a column in labelled reach, or about how many columns there are, the values
 * are hidden whole. What it says of types is true: it is what the values are written in.
 */
export function tighten(plan: ResultPlan, fields: readonly FieldDescription[], inReach: InReach): ResultPlan {
  const types = fields.map((field) => field.typeOid)
  if (fields.length !== plan.outputs.length) {
    return resultPlan(
      plan,
      fields.map(() => HIDE),
      types,
    )
  }
  const rules = fields.map((field, i) => {
    const output = plan.outputs[i]
    if (agree(output, field)) return plan.rules[i]
    if (output === undefined || output.labels !== undefined) return HIDE
    // An expression that the server sees through, such as a cast to the type there is: it knows the column itself.
    const attribute = output.source === undefined ? field.attnum : undefined
    return inReach(field.tableOid, attribute) ? HIDE : plan.rules[i]
  })
  const isSame = types.every((type, i) => type === plan.types[i] && rules[i] === plan.rules[i])
  if (isSame || (!plan.masks && rules.every((rule) => rule === undefined))) return plan
  return resultPlan(plan, rules, types)
}

/**
 * Where analysis names a source, the server must name it too. Without a source it comes from an expression or a set
 * operation, for which the server names no table.
 */
function agree(output: Output | undefined, field: FieldDescription): boolean {
  const source = output?.source
  if (source === undefined) return output !== undefined && field.tableOid === 0
  return source.relation === field.tableOid && source.attribute === field.attnum
}

/**
 * For a result that was said to hold nothing protected, or that was not analysed: hides what the server says comes from
 * where it should not. Undefined: there is no surprise in it.
 */
export function hideSurprises(
  fields: readonly FieldDescription[],
  isSurprise: (relation: number, attribute: number) => boolean,
): ResultPlan | undefined {
  const rules = fields.map((field) => (isSurprise(field.tableOid, field.attnum) ? HIDE : undefined))
  if (rules.every((each) => each === undefined)) return undefined
  return resultPlan(
    { outputs: fields.map(({ name }) => ({ name })) },
    rules,
    fields.map(({ typeOid }) => typeOid),
  )
}

/**
 * What masks the rows of a COPY that the server begins to send in these formats; undefined where none needs it. Other
 * columns than were analysed (the server leaves out generated ones) are all hidden. Throws where the server is about to
 * send another format: nothing would tell one value from the next.
 */
export function copyMasker(plan: ResultPlan, formats: CopyFormats, typeOf: TypeLookup): CopyRows | undefined {
  if (!plan.masks) return undefined
  const binary = plan.copy?.kind === 'binary' ? 1 : 0
  if (plan.copy === undefined || formats.format !== binary) {
    throw new GatewayError(
      'protocol_violation',
      'The upstream sends rows of COPY that are not what was asked for.',
    )
  }
  const { columnFormats } = formats
  if (columnFormats.length !== plan.outputs.length)
    return copyRows(
      plan.copy,
      columnFormats.map(() => NOTHING),
    )
  return copyRows(plan.copy, fit(plan, [binary], typeOf).columns)
}

const DATA_ROW = 0x44
const FIRST_SCRATCH_BYTES = 64 * 1024

/**
 * Rewrites DataRow messages: a masked cell is replaced while its bytes are skipped. Rows are gathered in a scratch
 * buffer that all sessions share, because it is always emptied before the loop over a chunk ends.
 */
let scratch = Buffer.allocUnsafe(FIRST_SCRATCH_BYTES)
let filled = 0

/** Who counts the distinct values of labelled columns, `bytes[start, end)` each. */
export type RecordCounter = {
  record(labels: readonly LabelName[], bytes: Uint8Array, start: number, end: number): void
}

/** Rewrites the row in `buffer[start, end)` (a message body) and gathers it. Allocates nothing. */
export function maskRow(
  plan: ResultPlan,
  buffer: Buffer,
  start: number,
  end: number,
  counter?: RecordCounter,
): void {
  const count = end - start >= 2 ? (buffer[start] ?? 0) * 256 + (buffer[start + 1] ?? 0) : -1
  if (count < 0) throw malformed()
  const columns = count === plan.columns.length ? plan.columns : undefined
  const messageAt = filled
  reserve(HEADER_BYTES + end - start + plan.grows)
  const target = scratch
  let to = messageAt + HEADER_BYTES
  let at = start + 2
  let runFrom = start
  for (let i = 0; i < count; i++) {
    if (end - at < 4) throw malformed()
    const length = int32(buffer, at)
    const next = length < 0 ? at + 4 : at + 4 + length
    if (next > end || length < -1) throw malformed()
    if (counter !== undefined && length >= 0) {
      const labels = plan.outputs[i]?.labels
      if (labels !== undefined) counter.record(labels, buffer, at + 4, next)
    }
    const masker = columns === undefined ? NOTHING : columns[i]
    if (masker !== undefined && length >= 0) {
      to = copyRun(buffer, runFrom, at, target, to)
      const from = at + 4
      const cellAt = to + 4
      const cellEnd = masker.write(
        buffer,
        from,
        length > masker.keeps ? from + masker.keeps : next,
        target,
        cellAt,
      )
      putInt32(target, to, cellEnd < 0 ? -1 : cellEnd - cellAt)
      to = cellEnd < 0 ? cellAt : cellEnd
      runFrom = next
    }
    at = next
  }
  if (at !== end) throw malformed()
  to = copyRun(buffer, runFrom, end, target, to)
  target[messageAt] = DATA_ROW
  putInt32(target, messageAt + 1, to - messageAt - 1)
  filled = to
}

/** Hands over the rows gathered since the last time. */
export function takeRows(target: RowTarget): void {
  if (filled === 0) return
  const bytes = filled
  filled = 0
  target(scratch, 0, bytes)
  if (scratch.length > 16 * FIRST_SCRATCH_BYTES) scratch = Buffer.allocUnsafe(FIRST_SCRATCH_BYTES)
}

/** Whether so much is gathered that it should be taken before the next row. */
export function rowsWaiting(): number {
  return filled
}

/** Shorter runs are copied byte by byte, which costs less than a call of the engine's own copy. */
const COPIED_BY_HAND_BYTES = 128

function copyRun(buffer: Buffer, from: number, to: number, target: Buffer, at: number): number {
  const length = to - from
  if (length > COPIED_BY_HAND_BYTES) {
    buffer.copy(target, at, from, to)
    return at + length
  }
  let end = at
  for (let i = from; i < to; i++) target[end++] = buffer[i] ?? 0
  return end
}

function int32(buffer: Buffer, at: number): number {
  return (
    ((buffer[at] ?? 0) << 24) |
    ((buffer[at + 1] ?? 0) << 16) |
    ((buffer[at + 2] ?? 0) << 8) |
    (buffer[at + 3] ?? 0)
  )
}

function putInt32(target: Buffer, at: number, value: number): void {
  target[at] = value >>> 24
  target[at + 1] = value >>> 16
  target[at + 2] = value >>> 8
  target[at + 3] = value
}

function reserve(bytes: number): void {
  const needed = filled + bytes
  if (needed <= scratch.length) return
  const grown = Buffer.allocUnsafe(Math.max(needed, scratch.length * 2))
  scratch.copy(grown, 0, 0, filled)
  scratch = grown
}

/**
 * One row too large to wait for: masked cells are skipped as they stream by, everything before the last masked cell is
 * kept (bounded), because a message begins with its length; what follows it is passed on as it comes.
 */
export class RowStream {
  readonly #plan: ResultPlan
  readonly #bodyBytes: number
  readonly #kept: Buffer[] = []
  #keptBytes = 0
  #head = Buffer.alloc(0)
  #columns = -1
  #column = 0
  #lastMasked = -1
  /** Of the current cell: bytes still to come; -1 between cells. */
  #cellLeft = -1
  #cell: Buffer[] = []
  #cellWanted = 0
  #difference = 0
  #open = false

  constructor(plan: ResultPlan, bodyBytes: number) {
    this.#plan = plan
    this.#bodyBytes = bodyBytes
  }

  piece(buffer: Buffer, start: number, end: number, bytesLeft: number, target: RowTarget): void {
    let at = start
    while (at < end) {
      if (this.#open) {
        target(buffer, at, end)
        return
      }
      at = this.#cellLeft >= 0 ? this.#cellBytes(buffer, at, end) : this.#headBytes(buffer, at, end)
      if (this.#columns >= 0 && this.#cellLeft < 0 && this.#column > this.#lastMasked) this.#emit(target)
    }
    if (bytesLeft === 0 && !this.#open) throw malformed()
  }

  /** Collects the column count, then each cell's length. */
  #headBytes(buffer: Buffer, start: number, end: number): number {
    const wanted = (this.#columns < 0 ? 2 : 4) - this.#head.length
    const taken = Math.min(wanted, end - start)
    this.#head = Buffer.concat([this.#head, buffer.subarray(start, start + taken)])
    if (taken < wanted) return start + taken
    const head = this.#head
    this.#head = Buffer.alloc(0)
    if (this.#columns < 0) {
      this.#columns = head.readUInt16BE(0)
      this.#lastMasked = this.#columns - 1
      if (this.#columns === this.#plan.columns.length) {
        this.#lastMasked = this.#plan.columns.findLastIndex((masker) => masker !== undefined)
      }
      this.#keep(head)
      return start + taken
    }
    const length = head.readInt32BE(0)
    if (length < -1 || length > this.#bodyBytes) throw malformed()
    const masker = this.#masker()
    if (length < 0 || masker === undefined) {
      this.#keep(head)
      if (length <= 0) this.#column++
      else this.#cellLeft = length
      return start + taken
    }
    this.#difference -= length
    this.#cellWanted = Math.min(length, masker.keeps)
    if (length === 0) this.#endMasked(masker)
    else this.#cellLeft = length
    return start + taken
  }

  #cellBytes(buffer: Buffer, start: number, end: number): number {
    const taken = Math.min(this.#cellLeft, end - start)
    const masker = this.#masker()
    if (masker === undefined) {
      this.#keep(Buffer.from(buffer.subarray(start, start + taken)))
    } else if (this.#cellWanted > 0) {
      const wanted = Math.min(this.#cellWanted, taken)
      this.#cell.push(Buffer.from(buffer.subarray(start, start + wanted)))
      this.#cellWanted -= wanted
    }
    this.#cellLeft -= taken
    if (this.#cellLeft === 0) {
      this.#cellLeft = -1
      if (masker === undefined) this.#column++
      else this.#endMasked(masker)
    }
    return start + taken
  }

  #endMasked(masker: CellMasker): void {
    const value = maskedCell(masker, Buffer.concat(this.#cell))
    this.#cell = []
    const length = Buffer.alloc(4)
    length.writeInt32BE(value === null ? -1 : value.length, 0)
    this.#keep(length)
    if (value !== null) {
      this.#difference += value.length
      this.#keep(Buffer.from(value))
    }
    this.#column++
  }

  #masker(): CellMasker | undefined {
    return this.#columns === this.#plan.columns.length ? this.#plan.columns[this.#column] : NOTHING
  }

  #keep(bytes: Buffer): void {
    this.#keptBytes += bytes.length
    if (this.#keptBytes > LIMITS.rowBytesMax) {
      throw new GatewayError('limit_exceeded', 'A row is too large in front of its last masked column.', {
        remedy: 'Select the large column last, or fewer columns.',
        retry: 'only-if-changed',
      })
    }
    this.#kept.push(bytes)
  }

  #emit(target: RowTarget): void {
    this.#open = true
    const header = Buffer.alloc(HEADER_BYTES)
    header[0] = DATA_ROW
    header.writeInt32BE(this.#bodyBytes + this.#difference + 4, 1)
    const bytes = Buffer.concat([header, ...this.#kept])
    target(bytes, 0, bytes.length)
  }
}

function malformed(): GatewayError {
  return new GatewayError('protocol_violation', 'The upstream sent a row that is not one.')
}
