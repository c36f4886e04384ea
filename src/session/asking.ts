import { createHash } from 'node:crypto'
import type {
  Clock,
  Command,
  ConnectionName,
  Countable,
  IdentityChain,
  Journal,
  Review,
  SessionId,
} from '../core/index.ts'
import { cutAt, GatewayError, LIMITS, MOVED_WARNING, parameterText, requestIdOf } from '../core/index.ts'
import type { CommandInFlight } from './flights.ts'
import type { ApprovalDesk, ApprovalInput } from './ports.ts'

const ALREADY_RUN: Countable = {
  can: false,
  why: 'it has run, and only the rest of its result is asked about',
}

/** Characters of what a program calls itself. */
const PROGRAM_MAX = 200

/** Who asks people about a command: a session. */
type Asker = {
  readonly id: SessionId
  readonly chain: IdentityChain
  readonly connection: { readonly name: ConnectionName }
  readonly opening: { readonly database: string; readonly program: string }
}

/** What people are asked about: a command, or its result beyond `rest`. */
export type Question = {
  readonly asker: Asker
  readonly gateway: {
    readonly approvals: ApprovalDesk
    readonly clock: Clock
    readonly journal: Pick<Journal, 'fingerprint'>
  }
  readonly policyVersion: string
  readonly flight: CommandInFlight
  readonly rest: string | undefined
}

/** What people are asked about a command, and what their answer will be bound to. `rest`: about that part of its result. */
export function approvalInput(
  {
    asker: {
      id,
      chain,
      connection: { name: connection },
      opening: { database, program },
    },
    gateway: { journal },
    policyVersion,
    flight: { n, command, judgement },
    rest,
  }: Question,
  countableNow: Countable | undefined = command.countable,
  estimatedRows: number | undefined = command.facts.estimatedRows,
): ApprovalInput {
  const { facts } = command
  const { text } = command.asked ?? command
  const { decision } = judgement
  refuseUnreadable(command)
  const before = rest === undefined ? '' : `The rest of the result, beyond ${rest}: `
  const parameters = parameterTexts(command)
  const shown = shownTexts(command, before)
  const definitions = judgement.scope.basis?.catalogue
  const review = decision.kind === 'deny' ? undefined : decision.review
  const countable = rest === undefined ? countableNow : ALREADY_RUN
  const { under = { changes: [], moved: false } } = command
  const warnings = [...(under.moved ? [MOVED_WARNING] : []), ...warningsOf(command)]
  const bound = {
    chain,
    connection,
    database,
    policyVersion,
    command,
    review,
    ...(rest === undefined ? {} : { rest }),
  }
  return {
    ...boundTo(bound, journal),
    ...(definitions === undefined ? {} : { definitions }),
    ...(command.varying === undefined ? {} : { varies: command.varying.varies }),
    requestId: requestIdOf(id, n),
    session: id,
    chain,
    connection,
    text: before + text,
    ...(parameters === undefined ? {} : { parameters }),
    ...(shown === undefined ? {} : { shown }),
    class: facts.class,
    reads: facts.reads,
    writes: facts.writes,
    rules: decision.rules,
    ...(review === undefined ? {} : { review }),
    ...(countable === undefined ? {} : { countable }),
    under: {
      ...(database === '' ? {} : { database }),
      ...(program === '' ? {} : { program: cutAt(program, PROGRAM_MAX) }),
      changes: under.changes,
      moved: under.moved,
      ...(under.fields === undefined ? {} : { fields: under.fields }),
    },
    ...(warnings.length === 0 ? {} : { warnings }),
    ...(estimatedRows === undefined ? {} : { estimatedRows }),
    policyVersion,
  }
}

/** What is too long for anybody to read is not asked about: a yes to it would mean nothing. */
function refuseUnreadable({ text, parameters = [], under }: Command): void {
  const fields = (under?.fields ?? []).reduce((sum, each) => sum + Buffer.byteLength(each), 0)
  const bytes = parameters.reduce(
    (sum, value) => sum + (value?.length ?? 0),
    Buffer.byteLength(text) + fields,
  )
  if (bytes <= LIMITS.askedBytesMax) return
  throw new GatewayError(
    'limit_exceeded',
    'Send less at once: this needs approval, and is too long to be read.',
    {
      remedy: `Ask for approval of parts of at most ${LIMITS.askedBytesMax} bytes, parameters included.`,
      retry: 'only-if-changed',
      facts: { bytes, bytesMax: LIMITS.askedBytesMax },
    },
  )
}

/** What is known of a command that a person should look at twice. */
function warningsOf({ facts, outward = [] }: Command): string[] {
  return [
    ...(outward.length === 0 ? [] : [`it takes out what looks like: ${outward.join(', ')}`]),
    ...(facts.writesEverything ? ['changes every row: it has no WHERE, or one that is always true'] : []),
    ...(facts.class === 'opaque' ? ['runs code of which it is not known what it does'] : []),
    ...(facts.escape === undefined
      ? []
      : ['protected values can get out of it in a way that masking does not follow']),
  ]
}

/** Why a command that was approved for a number of rows does not run here; undefined: its rows are counted. */
export function whyUncounted({ countable }: Pick<ApprovalInput, 'countable'>): string | undefined {
  if (countable?.can === true) return undefined
  return countable?.why ?? 'what it changes cannot be counted'
}

/** What is bound together in an approval: a command, and under what it was asked for. */
type Bound = {
  readonly chain: IdentityChain
  readonly connection: ConnectionName
  readonly database: string
  readonly policyVersion: string
  readonly command: Command
  /** How people look at it, as rules say now: by the hour, by an estimate, other people may have to. */
  readonly review?: readonly Review[] | undefined
  /** Where the rest of its result begins, when that alone is asked about. */
  readonly rest?: string
}

/** What of a request is compared, under a key: values stand in it, and nobody without the key can try guesses of them. */
export function boundTo(
  bound: Bound,
  journal: Pick<Journal, 'fingerprint'>,
): Pick<ApprovalInput, 'fingerprint' | 'shape' | 'kin'> {
  return {
    fingerprint: journal.fingerprint(fingerprintOf(bound)),
    shape: journal.fingerprint(shapeOf(bound)),
    kin: journal.fingerprint(kinOf(bound)),
  }
}

const MARKS = /\[sealed (\d+)\]/g

/** What of a command people may read who do not answer for it; undefined: all of it. */
function shownTexts(
  { text, parameters, readings, recorded, asked }: Command,
  before: string,
): ApprovalInput['shown'] {
  if (recorded === undefined || recorded.sealed.length === 0) return undefined
  const labels = new Map(
    recorded.sealed.flatMap((each) => each.numbers.map((number) => [String(number), each.labels.join(', ')])),
  )
  const filled = (text: string): string =>
    text.replace(MARKS, (mark, number: string) =>
      labels.has(number) ? `[sealed ${labels.get(number)}]` : mark,
    )
  const given = recorded.parameters?.map((value, index) => {
    const bytes = parameters?.[index]
    if (value === null || bytes === null || bytes === undefined) return null
    return value.startsWith('[') ? filled(value) : parameterText(bytes, readings?.[index])
  })
  const shown = asked !== undefined && recorded.text === text ? asked.text : filled(recorded.text)
  return { text: before + shown, ...(given === undefined ? {} : { parameters: given }) }
}

/**
 * What an approval is bound to: who, where, what with which parameters and how they are read, what was known of it, and
 * under which policy.
 */
export function fingerprintOf(bound: Bound): string {
  const { command, policyVersion } = bound
  const digest = new Digest(bound)
  digest.add(policyVersion)
  digest.add(command.meaning ?? '')
  digest.add(command.canonical ?? command.text)
  digest.add(factsText(command))
  digest.add(JSON.stringify(bound.review ?? []))
  digest.addParameters(command)
  return digest.end(bound)
}

/** The same but for the values of which one does as much as any other: of a command without a shape, itself. */
export function shapeOf(bound: Bound): string {
  const { command, policyVersion } = bound
  if (command.shape === undefined) return fingerprintOf(bound)
  const digest = new Digest(bound)
  digest.add('shape')
  digest.add(policyVersion)
  digest.add(command.meaning ?? '')
  digest.add(command.shape)
  digest.add(factsText(command))
  digest.add(JSON.stringify(bound.review ?? []))
  const free = new Set(command.varying?.parameters)
  digest.addParameters(command, (index) => free.has(index))
  return digest.end(bound)
}

/** The same command with the same values, whatever its names mean and under whatever rules. */
export function kinOf(bound: Bound): string {
  const { command } = bound
  const digest = new Digest(bound)
  digest.add('kin')
  digest.add(command.canonical ?? command.text)
  digest.addParameters(command)
  return digest.end(bound)
}

function factsText({ facts }: Command): string {
  // The planner's guess is another one each time.
  return JSON.stringify({ ...facts, estimatedRows: undefined })
}

/** Every part is preceded by its length, so that no two commands run together to the same bytes. */
class Digest {
  readonly #hash = createHash('sha256')

  constructor({ chain, connection, database }: Bound) {
    this.add(JSON.stringify(chain))
    this.add(connection)
    this.add(database)
  }

  add(bytes: string | Uint8Array): void {
    const data = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    this.#hash.update(`${data.length}:`).update(data)
  }

  /** `mayVary`: all that counts of such a one is how it is read, and whether it is null. */
  addParameters({ parameters = [], readings }: Command, mayVary = (_index: number): boolean => false): void {
    parameters.forEach((value, index) => {
      this.add(readings?.[index] ?? 'text')
      if (value === null) this.#hash.update('null;')
      else if (mayVary(index)) this.#hash.update('any;')
      else this.add(value)
    })
  }

  end({ rest }: Bound): string {
    if (rest !== undefined) this.add(`the rest beyond ${rest}`)
    return this.#hash.digest('hex')
  }
}

/** Parameters as an approver reads them, a line for each; null is NULL. */
export function parameterTexts({
  parameters,
  readings,
  asked,
}: Command): readonly (string | null)[] | undefined {
  return (asked?.parameters ?? parameters)?.map((value, index) =>
    value === null ? null : parameterText(value, readings?.[index]),
  )
}
