import type { Entry, RecordingKeys, SealedField } from '../../core/index.ts'
import { LabelKeys } from './label-keys.ts'
import { keyIdOf, openValues } from './sealed-values.ts'

/** Whether a reader may see values of a label that stand in the command of this number. */
export type Sees = (label: string, n: number) => boolean

const MARKS = /\[sealed (\d+)\]/g

/** Puts sealed values back where they stood, for a reader who may see them. */
export class FieldOpener {
  readonly #keys: ReadonlyMap<string, LabelKeys>

  constructor(keys: RecordingKeys) {
    this.#keys = new Map(keys.map((key) => [key.id, new LabelKeys(key)]))
  }

  /** The entry as a reader sees it: a value of a label that `sees` does not say yes to is `[sealed pii.email]`. */
  shown(entry: Entry, sees: Sees): Entry {
    if (entry.kind === 'input') return this.#shownInput(entry, sees)
    if (entry.kind === 'result' || entry.kind === 'outcome') return this.#shownBody(entry, sees)
    if (entry.kind !== 'intent' || entry.head.sealed === undefined) return entry
    const { sealed, ...head } = entry.head
    const values = new Map<string, string>()
    for (const field of sealed) {
      const opened = field.labels.every((label) => sees(label, head.n)) ? this.#open(field) : undefined
      const state = field.data.length === 0 ? 'erased' : 'sealed'
      for (const [i, number] of field.numbers.entries())
        values.set(String(number), opened?.[i] ?? `[${state} ${field.labels.join(', ')}]`)
    }
    const filled = (text: string): string =>
      text.replace(MARKS, (mark: string, number: string) => values.get(number) ?? mark)
    return {
      kind: 'intent',
      head: {
        ...head,
        text: filled(head.text),
        ...(head.parameters === undefined
          ? {}
          : { parameters: head.parameters.map((each) => (each === null ? null : filled(each))) }),
      },
    }
  }

  /** A body that the reader may not see is gone; its head still says under which labels it is sealed. */
  #shownBody(entry: Extract<Entry, { kind: 'result' | 'outcome' }>, sees: Sees): Entry {
    const { sealed: labels } = entry.head
    if (labels === undefined || entry.body === undefined) return entry
    const mayOpen = labels.every((label) => sees(label, entry.head.n))
    const [base64] = (mayOpen ? this.#open({ labels, data: entry.body }) : undefined) ?? []
    const body = Buffer.from(base64 ?? '', 'base64')
    if (entry.kind === 'result') {
      const { sealed, ...head } = entry.head
      return {
        kind: 'result',
        head: base64 === undefined ? { ...head, ...(sealed && { sealed }) } : head,
        body,
      }
    }
    const { sealed, ...head } = entry.head
    return base64 === undefined
      ? { kind: 'outcome', head: { ...head, ...(sealed && { sealed }) } }
      : { kind: 'outcome', head, body }
  }

  /** As with a body: what may not be seen of it is gone. */
  #shownInput(entry: Extract<Entry, { kind: 'input' }>, sees: Sees): Entry {
    const { kind, head, body, digest } = entry
    const { sealed: labels, ...rest } = head
    if (labels === undefined) return entry
    const mayOpen = labels.every((label) => sees(label, head.n))
    const [base64] = (mayOpen && body !== undefined ? this.#open({ labels, data: body }) : undefined) ?? []
    const [hex] = (mayOpen && digest !== undefined ? this.#open({ labels, data: digest }) : undefined) ?? []
    const isOpened = (body === undefined) === (base64 === undefined)
    return {
      kind,
      head: mayOpen && isOpened ? rest : head,
      ...(base64 === undefined ? {} : { body: Buffer.from(base64, 'base64') }),
      ...(hex === undefined ? {} : { digest: Buffer.from(hex) }),
    }
  }

  #open({ labels, data }: Pick<SealedField, 'labels' | 'data'>): readonly string[] | undefined {
    const keys = this.#keys.get(keyIdOf(data) ?? '')
    return keys === undefined ? undefined : openValues(keys.of(labels), data)
  }
}
