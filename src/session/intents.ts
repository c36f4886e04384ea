import type {
  Basis,
  Command,
  Entry,
  IntentHead,
  Journal,
  LabelName,
  RuleRef,
  SealedCommand,
} from '../core/index.ts'
import { OUTSIDE_COMMANDS } from '../core/index.ts'
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
    ...(command.outward === undefined ? {} : { outward: command.outward }),
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

/** Of a command of the gateway's own. `recorded`: what is recorded in place of its text. */
export function ownHead(
  n: number,
  form: string,
  text: string,
  recorded: SealedCommand | undefined,
  journal: Pick<Journal, 'seal'>,
): IntentHead {
  return {
    n,
    form,
    text: recorded?.text ?? text,
    class: 'read',
    decision: 'allow',
    rules: [],
    ...(recorded === undefined ? {} : sealedFields(recorded, journal)),
  }
}

/** Of what could not be read, and so never became a command. */
export function unreadableHead(
  n: number,
  form: string,
  text: string,
  reason: string,
  recorded: SealedCommand | undefined,
  journal: Pick<Journal, 'seal'>,
): IntentHead {
  return { ...ownHead(n, form, text, recorded, journal), class: 'opaque', decision: 'deny', reason }
}

/** The values that are sealed, encrypted. */
function sealedFields({ sealed }: SealedCommand, journal: Pick<Journal, 'seal'>): Pick<IntentHead, 'sealed'> {
  if (sealed.length === 0) return {}
  return {
    sealed: sealed.map(({ labels, numbers, values }) => ({
      labels,
      numbers,
      data: journal.seal(labels, values),
    })),
  }
}

/**
 * The bytes of a result as they are recorded: encrypted whole, if they may give back values that are sealed in the command.
 * They are not searched for them: a server writes a value in other ways than it was sent. `quoted`: the labels of values that
 * may stand in what was said in words among them.
 */
export function sealedBody(
  { recorded }: Command,
  body: Uint8Array,
  journal: Pick<Journal, 'seal'>,
  quoted: readonly LabelName[] = [],
): { readonly body: Uint8Array; readonly sealed?: readonly LabelName[] } {
  const given = recorded === undefined || recorded.open ? [] : recorded.labels
  if (given.length === 0 && quoted.length === 0) return { body }
  const sealed = [...new Set([...given, ...quoted])].sort()
  return { body: journal.seal(sealed, [base64(body)]), sealed }
}

/** What the client was told outside of commands; `quoted`: the labels of values that may stand in it, sorted. */
export function toldEntry(
  body: Uint8Array,
  quoted: readonly LabelName[],
  journal: Pick<Journal, 'seal'>,
): Entry {
  const n = OUTSIDE_COMMANDS
  return quoted.length === 0
    ? { kind: 'result', head: { n }, body }
    : { kind: 'result', head: { n, sealed: quoted }, body: journal.seal(quoted, [base64(body)]) }
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
