import type { Judgement } from '../../../session/index.ts'
import type { AnswerForm } from '../../../sql/index.ts'

/** What the server is expected to answer a command with. */
export type Answers = {
  /** One per statement. Absent: nobody knows how many there are, or what is among them. */
  readonly forms?: readonly AnswerForm[]
  /** Some statement may ask the client for rows of COPY. */
  readonly takesCopy: boolean
}

/** Of a command of which nothing is known. */
const ANYTHING: Answers = { takesCopy: true }
const OF_ONE: ReadonlyMap<AnswerForm, Answers> = new Map(
  (['takes copy', 'sends copy', 'commits', 'plain'] as const).map((form) => [
    form,
    { forms: [form], takesCopy: form === 'takes copy' },
  ]),
)
const UNKNOWN_PLAIN: Answers = { takesCopy: false }

/** Judgements are of all texts of one shape, and so is this. */
const ANSWERS = new WeakMap<Judgement, Answers>()

/** `forms` as the grammar has them. A text that it cannot read takes rows of COPY only if it has the word in it. */
export function noteAnswers(
  judgement: Judgement,
  forms: readonly AnswerForm[] | undefined,
  text: string,
): void {
  if (!ANSWERS.has(judgement)) ANSWERS.set(judgement, answersTo(forms, text))
}

function answersTo(forms: readonly AnswerForm[] | undefined, text: string): Answers {
  if (forms === undefined) return /copy/i.test(text) ? ANYTHING : UNKNOWN_PLAIN
  const [form] = forms
  if (forms.length !== 1) return { forms, takesCopy: forms.includes('takes copy') }
  return (form === undefined ? undefined : OF_ONE.get(form)) ?? ANYTHING
}

/** What is known of one judgement is known of another of the same command. */
export function copyAnswers(from: Judgement, to: Judgement): void {
  const answers = ANSWERS.get(from)
  if (answers !== undefined) ANSWERS.set(to, answers)
}

export function answersOf(judgement: Judgement): Answers {
  return ANSWERS.get(judgement) ?? ANYTHING
}

/** Whether a statement behind this one, by its position, may ask for rows of COPY. */
export function mayTakeMore(judgement: Judgement, statement: number): boolean {
  const { forms, takesCopy } = answersOf(judgement)
  return takesCopy && (forms === undefined || forms.includes('takes copy', statement + 1))
}

/**
 * Whether it does something that lasts: it is sent when everything before its group has been answered. A session may end at
 * any time, with the access that let it run something; a server that has been sent more by then runs that, too.
 */
export function lasts(judgement: Judgement): boolean {
  return judgement.facts.class !== 'read' || answersOf(judgement).forms?.includes('commits') !== false
}
