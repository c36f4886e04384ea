import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { Clock, RandomBytes } from '../core/index.ts'
import { GatewayError, LIMITS, Secret } from '../core/index.ts'
import type { MasterKey, MasterKeys } from './master-key.ts'
import type { SealedSecret, SealedSecretStore } from './port.ts'

/** NIST SP 800-38D section 8.2: 96 bits. Random, which is safe for 2^32 seals under one key. */
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Names people may give. A slash is for the gateway's own, which `secrets set` must not reach. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/** A part of the sealed store that one part of the gateway has for itself. */
export interface Vault {
  get(name: string): Secret | undefined
  set(name: string, value: Secret): Promise<void>
  /** Keeps it unless there is one already, perhaps of another node; gives what is kept. */
  keepFirst(name: string, value: Secret): Promise<Secret>
  remove(name: string): Promise<void>
}

/** What may be told of a sealed secret: everything but the secret. */
export type SecretSummary = {
  readonly name: string
  readonly updatedAt: number
  readonly updatedBy: string
}

export type SealedSecretsOptions = {
  readonly store: SealedSecretStore
  readonly keys: MasterKeys
  readonly clock: Clock
  readonly random: RandomBytes
}

/**
 * Secrets sealed with AES-256-GCM under a master key that is not in the data directory. The name and the key's id are
 * authenticated, so that one secret cannot be passed off as another by moving its bytes.
 */
export class SealedSecrets {
  readonly #store: SealedSecretStore
  readonly #keys: MasterKeys
  readonly #clock: Clock
  readonly #random: RandomBytes
  readonly #sealed = new Map<string, SealedSecret>()

  private constructor(options: SealedSecretsOptions) {
    this.#store = options.store
    this.#keys = options.keys
    this.#clock = options.clock
    this.#random = options.random
  }

  /** Reads what is sealed and makes sure that all of it can be opened. Throws `invalid` when a key is missing. */
  static async open(options: SealedSecretsOptions): Promise<SealedSecrets> {
    const secrets = new SealedSecrets(options)
    for (const each of await options.store.all()) {
      secrets.#unseal(each)
      secrets.#sealed.set(each.name, each)
    }
    return secrets
  }

  /** Takes over what other nodes have sealed and removed. One that no key here opens is told of when it is asked for. */
  async refresh(): Promise<void> {
    const all = await this.#store.all()
    this.#sealed.clear()
    for (const each of all) this.#sealed.set(each.name, each)
  }

  /** The secret of a name that people gave; nothing when there is none. For the part that sends it, nobody else. */
  get(name: string): Secret | undefined {
    return NAME.test(name) ? this.#get(name) : undefined
  }

  /** Seals a secret under a name, over an older one. It is on the disk before this resolves. Throws `invalid`. */
  async set(name: string, value: Secret, by: string): Promise<void> {
    checkName(name)
    await this.#set(name, value, by)
  }

  /** Gives false when there was none. */
  async remove(name: string): Promise<boolean> {
    checkName(name)
    if (!this.#sealed.has(name)) return false
    await this.#remove(name)
    return true
  }

  /** The names people gave, sorted; without the gateway's own. */
  list(): readonly SecretSummary[] {
    return [...this.#sealed.values()]
      .filter((each) => NAME.test(each.name))
      .map(({ name, updatedAt, updatedBy }) => ({ name, updatedAt, updatedBy }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** What one part of the gateway keeps for itself, out of reach of `${store:}` and `secrets set`. */
  vault(part: string): Vault {
    const inside = (name: string) => `${part}/${name}`
    return {
      get: (name) => this.#get(inside(name)),
      set: async (name, value) => await this.#set(inside(name), value, 'gateway'),
      keepFirst: async (name, value) => {
        const kept = await this.#store.keepFirst(this.#sealedNow(inside(name), value, 'gateway'))
        this.#sealed.set(kept.name, kept)
        return this.#unseal(kept)
      },
      remove: async (name) => await this.#remove(inside(name)),
    }
  }

  /** Seals everything under the first key again: the end of a rotation. Gives how many were under another. */
  async reseal(): Promise<number> {
    const [current] = this.#keys
    const stale = [...this.#sealed.values()].filter((each) => each.keyId !== current.id)
    for (const each of stale) {
      const again = { ...each, ...this.#seal(each.name, this.#unseal(each)) }
      await this.#store.put(again)
      this.#sealed.set(each.name, again)
    }
    return stale.length
  }

  #get(name: string): Secret | undefined {
    const sealed = this.#sealed.get(name)
    return sealed === undefined ? undefined : this.#unseal(sealed)
  }

  async #set(name: string, value: Secret, by: string): Promise<void> {
    const sealed = this.#sealedNow(name, value, by)
    await this.#store.put(sealed)
    this.#sealed.set(name, sealed)
  }

  #sealedNow(name: string, value: Secret, by: string): SealedSecret {
    const length = Buffer.byteLength(value.reveal())
    if (length === 0) throw new GatewayError('invalid', 'A secret must not be empty.')
    if (length > LIMITS.secretBytesMax) {
      throw new GatewayError('invalid', `A secret has at most ${LIMITS.secretBytesMax} bytes.`)
    }
    return { name, ...this.#seal(name, value), updatedAt: this.#clock.now(), updatedBy: by }
  }

  async #remove(name: string): Promise<void> {
    await this.#store.remove(name)
    this.#sealed.delete(name)
  }

  #seal(name: string, value: Secret): Pick<SealedSecret, 'keyId' | 'nonce' | 'sealed'> {
    const [key] = this.#keys
    const nonce = this.#random(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', key.key, nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(boundTo(name, key))
    const sealed = Buffer.concat([cipher.update(value.reveal(), 'utf8'), cipher.final(), cipher.getAuthTag()])
    return { keyId: key.id, nonce, sealed }
  }

  #unseal(secret: SealedSecret): Secret {
    const key = this.#keys.find((each) => each.id === secret.keyId)
    if (key === undefined) {
      throw new GatewayError(
        'invalid',
        `The secret ${secret.name} was sealed under another master key (${secret.keyId}).`,
        { remedy: 'Add that key after the present one, in the key file or in SLUICE_KEY.' },
      )
    }
    const end = secret.sealed.length - TAG_BYTES
    try {
      const decipher = createDecipheriv('aes-256-gcm', key.key, secret.nonce, { authTagLength: TAG_BYTES })
      decipher.setAAD(boundTo(secret.name, key))
      decipher.setAuthTag(secret.sealed.subarray(end))
      const plain = Buffer.concat([decipher.update(secret.sealed.subarray(0, end)), decipher.final()])
      return new Secret(plain.toString('utf8'))
    } catch (cause) {
      throw new GatewayError('invalid', `The secret ${secret.name} was damaged or changed on the disk.`, {
        remedy: 'Set it again.',
        cause,
      })
    }
  }
}

function boundTo(name: string, key: MasterKey): Buffer {
  return Buffer.from(`sluice sealed secret 1\n${key.id}\n${name}`)
}

function checkName(name: string): void {
  if (NAME.test(name)) return
  throw new GatewayError(
    'invalid',
    'The name of a secret has letters, digits, dots, hyphens and underscores.',
    {
      remedy: 'Begin with a letter or a digit and use at most 128 characters.',
    },
  )
}
