import { createSecretKey, hkdfSync } from 'node:crypto'
import { z } from 'zod'
import type { Approval, ApprovalStore } from '../approvals/index.ts'
import type { RandomBytes, RecordingKey, RecordingKeys, Ticket } from '../core/index.ts'
import { LabelKeys } from '../recording/fields/label-keys.ts'
import { keyIdOf, openValues, sealValues } from '../recording/fields/sealed-values.ts'

const PREFIX = 'sealed:'
const LABELS = ['approvals'] as const

/**
 * The store of approval requests, in which the text and the parameters of commands are encrypted: values of protected
 * columns stand in them, and people who answer are shown them from memory. Requests of earlier versions are read as they are.
 */
export class SealedApprovals implements ApprovalStore {
  readonly #inner: ApprovalStore
  readonly #random: RandomBytes
  readonly #current: LabelKeys
  readonly #keys: ReadonlyMap<string, LabelKeys>

  constructor(inner: ApprovalStore, [first, ...others]: RecordingKeys, random: RandomBytes) {
    this.#inner = inner
    this.#random = random
    this.#current = keysOf(first)
    this.#keys = new Map([this.#current, ...others.map(keysOf)].map((each) => [each.id, each]))
  }

  async load(endedMax: number, now: number): Promise<readonly Approval[]> {
    return (await this.#inner.load(endedMax, now)).map((each) => this.#opened(each))
  }

  async insert(approval: Approval): Promise<boolean> {
    return await this.#inner.insert(this.#sealed(approval))
  }

  async replace(approval: Approval, revision: number): Promise<boolean> {
    return await this.#inner.replace(this.#sealed(approval), revision)
  }

  async get(ticket: Ticket): Promise<Approval | undefined> {
    const found = await this.#inner.get(ticket)
    return found === undefined ? undefined : this.#opened(found)
  }

  async findOpen(key: string): Promise<Approval | undefined> {
    const found = await this.#inner.findOpen(key)
    return found === undefined ? undefined : this.#opened(found)
  }

  async scrub(): Promise<void> {
    await this.#inner.scrub()
  }

  #sealed({ parameters, shown, under, ...approval }: Approval): Approval {
    const values = [approval.text, ...[parameters, shown, under].map((each) => JSON.stringify(each ?? null))]
    const bytes = sealValues(this.#current, LABELS, values, this.#random)
    return { ...approval, text: PREFIX + Buffer.from(bytes).toString('base64') }
  }

  #opened(approval: Approval): Approval {
    if (!approval.text.startsWith(PREFIX)) return approval
    const bytes = Buffer.from(approval.text.slice(PREFIX.length), 'base64')
    const id = keyIdOf(bytes) ?? ''
    const keys = this.#keys.get(id)
    const [text, parameters, shown, under] =
      (keys === undefined ? undefined : openValues(keys.of(LABELS), bytes)) ?? []
    // Who answers has to see what is asked; a request that nobody can read is one that nobody should approve.
    if (text === undefined)
      return { ...approval, text: `[sealed under the master key ${id}, which is not given]` }
    return { ...approval, text, ...parametersOf(parameters), ...shownOf(shown), ...underOf(under) }
  }
}

const listSchema = z.array(z.string().nullable()).nullable()
const shownSchema = z
  .strictObject({ text: z.string(), parameters: listSchema.unwrap().exactOptional() })
  .nullable()

const underSchema = z
  .strictObject({
    database: z.string().exactOptional(),
    program: z.string().exactOptional(),
    changes: z.array(z.string()),
    moved: z.boolean(),
    fields: z.array(z.string()).exactOptional(),
  })
  .nullable()

/** Of a key of its own, so that nothing here opens a recording. */
function keysOf({ id, key }: RecordingKey): LabelKeys {
  const own = Buffer.from(hkdfSync('sha256', key, '', 'sluice approvals', 32))
  return new LabelKeys({ id, key: createSecretKey(own) })
}

function parametersOf(json = 'null'): Pick<Approval, 'parameters'> {
  const parameters = listSchema.parse(JSON.parse(json))
  return parameters === null ? {} : { parameters }
}

function shownOf(json = 'null'): Pick<Approval, 'shown'> {
  const shown = shownSchema.parse(JSON.parse(json))
  return shown === null ? {} : { shown }
}

function underOf(json = 'null'): Pick<Approval, 'under'> {
  const under = underSchema.parse(JSON.parse(json))
  return under === null ? {} : { under }
}
