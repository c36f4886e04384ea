import type {
  Basis,
  Command,
  Facts,
  IntentHead,
  Journal,
  LabelName,
  RuleRef,
  SealedCommand,
} from '../core/index.ts'
import type { Judgement } from './judgements.ts'

/**
 * What the recording says of a command and its decision, before anything is forwarded. `basis`: what it was judged by, where
 * that is not the same as of the command before.
 */
export function intentHead(
  n: number,
  command: Command,
  judgement: Judgement,
  journal: Pick<Journal, 'seal'>,
  basis?: Basis,
): IntentHead {
  const { decision, facts } = judgement
  const { recorded } = command
  return {
    n,
    form: command.form,
    text: recorded?.text ?? command.text,
    class: facts.class,
    decision: decision.kind,
    rules: ruleNames(decision.rules),
    ...(decision.kind === 'allow' ? {} : { reason: decision.reason.message }),
    ...(decision.observed.length === 0 ? {} : { observed: ruleNames(decision.observed) }),
    ...(decision.kind === 'deny' || decision.masks.size === 0 ? {} : { masked: [...decision.masks.keys()] }),
    ...(decision.kind === 'deny' || facts.columns === undefined ? {} : { columns: facts.columns }),
    ...(facts.reads.length === 0 ? {} : { reads: facts.reads }),
    ...(facts.writes.length === 0 ? {} : { writes: facts.writes }),
    ...(facts.typed === undefined ? {} : { typed: facts.typed }),
    ...(command.parameters === undefined || command.parameters.length === 0
      ? {}
      : {
          parameters:
            recorded?.parameters ??
            command.parameters.map((value) => (value === null ? null : base64(value))),
          ...(command.readings === undefined ? {} : { readings: command.readings }),
        }),
    ...(recorded === undefined ? {} : sealedFields(recorded, journal)),
    ...(basis === undefined ? {} : { basis }),
  }
}

/** The values that are sealed, encrypted. */
export function sealedFields(
  { sealed }: SealedCommand,
  journal: Pick<Journal, 'seal'>,
): Pick<IntentHead, 'sealed'> {
  if (sealed.length === 0) return {}
  return {
    sealed: sealed.map(({ labels, numbers, values }) => ({
      labels,
      numbers,
      data: journal.seal(labels, values),
    })),
  }
}

/** The bytes of a result as they are recorded: encrypted, if they give back values that are sealed in the command. */
export function sealedBody(
  { recorded, facts }: Command,
  body: Uint8Array,
  journal: Pick<Journal, 'seal'>,
): { readonly body: Uint8Array; readonly sealed?: readonly LabelName[] } {
  if (recorded === undefined || recorded.sealed.length === 0) return { body }
  const { echoes } = recorded
  if (echoes === 'unknown' ? givesColumnsOnly(facts) : !holdsAny(body, echoes)) return { body }
  const sealed = [...new Set(recorded.sealed.flatMap(({ labels }) => labels))].sort()
  return { body: journal.seal(sealed, [base64(body)]), sealed }
}

/** Each value is that of a column, as it is or masked: nothing that the client has sent comes back. */
function givesColumnsOnly({ statements }: Facts): boolean {
  return statements.every(({ outputs }) => outputs?.every(({ source }) => source !== undefined) === true)
}

/** Byte by byte, whatever the encoding; capitals of ASCII are as good as small letters. */
function holdsAny(body: Uint8Array, values: readonly string[]): boolean {
  if (values.length === 0) return false
  const text = (Buffer.isBuffer(body) ? body : Buffer.from(body)).toString('latin1').toLowerCase()
  return values.some((each) => text.includes(Buffer.from(each).toString('latin1').toLowerCase()))
}

function base64(value: Uint8Array): string {
  return (Buffer.isBuffer(value) ? value : Buffer.from(value)).toString('base64')
}

/** Rule names as the recording shows them; made once per decision, not once per command. */
const namesOf = new WeakMap<readonly RuleRef[], readonly string[]>()

function ruleNames(rules: readonly RuleRef[]): readonly string[] {
  let names = namesOf.get(rules)
  if (names === undefined) {
    names = rules.map((rule) => `${rule.name} (${rule.file}:${rule.line})`)
    namesOf.set(rules, names)
  }
  return names
}
