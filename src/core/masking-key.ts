import type { KeyObject } from 'node:crypto'
import { createHmac, createSecretKey } from 'node:crypto'
import { inspect } from 'node:util'
import type { LabelName } from './ids.ts'

/**
 * What hashes and pseudonyms of one label are made with. Shows neither key, whatever prints it.
 * `value` differs for every label and tenant; `check` is the same for the whole gateway, so that what was emitted for
 * one label is recognised when it is written into a column of another.
 */
export class MaskingKey {
  readonly name: string
  readonly #value: KeyObject
  readonly #check: KeyObject

  constructor(name: string, value: Uint8Array, check: Uint8Array) {
    this.name = name
    this.#value = createSecretKey(value)
    this.#check = createSecretKey(check)
  }

  /** 32 bytes that only this key makes of these. */
  mac(bytes: Uint8Array): Buffer {
    return createHmac('sha256', this.#value).update(bytes).digest()
  }

  /** 32 bytes that show, to whoever has the key, that this text was made by the gateway. */
  check(text: string): Buffer {
    return createHmac('sha256', this.#check).update(text).digest()
  }

  toString(): string {
    return `[masking key of ${this.name}]`
  }

  /** A rule in JSON is the rule as it was written. */
  toJSON(): undefined {
    return undefined
  }

  [inspect.custom](): string {
    return this.toString()
  }
}

/** The keys of a gateway's masks. Two labels never share one, nor do two tenants. */
export interface MaskingKeys {
  /** The same for the same label and tenant, as long as the gateway keeps its master key. */
  of(label: LabelName, tenant: string): MaskingKey
}
