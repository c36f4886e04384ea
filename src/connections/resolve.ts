import { resolve } from 'node:path'
import type { Clock, SecretRef, VaultSettings } from '../core/index.ts'
import {
  asGatewayError,
  assertNever,
  describeSecretRef,
  GatewayError,
  LIMITS,
  Secret,
} from '../core/index.ts'
import { runSecretCommand } from './command.ts'
import type { Warn } from './secret-file.ts'
import { readSecretFile, trimLineBreak } from './secret-file.ts'
import { VaultSource } from './vault/source.ts'

export type SecretResolverOptions = {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Where relative paths of `${file:}` begin: the folder of the configuration. */
  readonly directory: string
  readonly sealed: { get(name: string): Secret | undefined }
  readonly clock: Clock
  readonly warn: Warn
  /** The Vault of the configuration in force; absent: none. */
  readonly vault?: () => VaultSettings | undefined
  /** What goes wrong while nobody waits for it. */
  readonly report?: (error: unknown) => void
}

type Kept = {
  readonly until: number
  readonly renewAt: number
  isRenewing: boolean
  readonly secret: Promise<Secret>
}

/**
 * Turns references into secrets. Variables, files and the store are read each time, so that a change is seen by the
 * next session; what a command printed is used for a minute, and asked for once when many sessions want it together. What is in
 * Vault is read and renewed by `vault/source.ts`.
 */
export class SecretResolver {
  readonly #options: SecretResolverOptions
  readonly #kept = new Map<string, Kept>()
  readonly #warned = new Set<string>()
  #vault: { readonly key: string; readonly source: Promise<VaultSource> } | undefined

  constructor(options: SecretResolverOptions) {
    this.#options = options
  }

  /**
   * Throws `invalid`, naming the reference and why it gave nothing, never a value. The sentence is for who runs the
   * gateway; whoever answers a client says only that the upstream cannot be reached, and keeps this as the cause.
   */
  async resolve(ref: SecretRef): Promise<Secret> {
    try {
      return await this.#read(ref)
    } catch (error) {
      const known = asGatewayError(error)
      throw new GatewayError(known.code, `${describeSecretRef(ref)}: ${known.message}`, {
        cause: error,
        retry: known.retry,
        ...(known.remedy === undefined ? {} : { remedy: known.remedy }),
      })
    }
  }

  /** Forgets what a command printed or Vault gave: for when the upstream no longer takes it. */
  forget(ref: SecretRef): void {
    if (ref.kind === 'command') this.#kept.delete(ref.command)
    if (ref.kind === 'vault')
      void this.#vault?.source.then((source) => source.forget(ref.path), this.#reportFault)
  }

  /** Gives back what is leased at Vault. Only once no session lives by it. */
  async close(): Promise<void> {
    const vault = this.#vault
    this.#vault = undefined
    if (vault !== undefined) await (await vault.source).close()
  }

  async #read(ref: SecretRef): Promise<Secret> {
    switch (ref.kind) {
      case 'env': {
        const value = this.#options.environment[ref.name]
        if (value === undefined) throw new GatewayError('invalid', 'this variable is not set.')
        return nonEmpty(value)
      }
      case 'file':
        return nonEmpty(
          trimLineBreak(await readSecretFile(resolve(this.#options.directory, ref.path), this.#warnOnce)),
        )
      case 'store': {
        const secret = this.#options.sealed.get(ref.name)
        if (secret !== undefined) return secret
        throw new GatewayError('invalid', 'there is no such secret in the store.', {
          remedy: `Set it: sluice secrets set ${ref.name}`,
        })
      }
      case 'command':
        return await this.#run(ref.command)
      case 'vault':
        return await (await this.#vaultNow()).read(ref.path, ref.field)
      case 'literal':
        return ref.value
      default:
        return assertNever(ref)
    }
  }

  async #run(command: string): Promise<Secret> {
    const now = this.#options.clock.now()
    const kept = this.#kept.get(command)
    if (kept === undefined || now >= kept.until) return await this.#runNow(command).secret
    // Read again before it ends, so that no session waits for it. That it failed is told by who needs it then.
    if (now >= kept.renewAt && !kept.isRenewing) {
      kept.isRenewing = true
      const next = this.#runNow(command)
      // Until it has come, what is known is used.
      this.#kept.set(command, kept)
      next.secret.then(
        () => {
          if (this.#kept.get(command) === kept) this.#kept.set(command, next)
        },
        (error: unknown) => {
          kept.isRenewing = false
          this.#options.report?.(error)
        },
      )
    }
    return await kept.secret
  }

  #runNow(command: string): Kept {
    const now = this.#options.clock.now()
    const secret = runSecretCommand(command, this.#options.environment).then((printed) =>
      nonEmpty(trimLineBreak(printed)),
    )
    const life = LIMITS.secretKeptMs
    const entry: Kept = { until: now + life, renewAt: now + (life * 3) / 4, isRenewing: false, secret }
    this.#kept.set(command, entry)
    // A failure is not kept: the next session asks again.
    secret.catch(() => {
      if (this.#kept.get(command) === entry) this.#kept.delete(command)
    })
    return entry
  }

  /** One for the settings in force; other settings are another Vault. */
  async #vaultNow(): Promise<VaultSource> {
    const settings = this.#options.vault?.()
    if (settings === undefined) {
      throw new GatewayError('invalid', 'there is no Vault in the configuration.', {
        remedy: 'Say where it is, under vault.',
      })
    }
    const key = JSON.stringify(settings)
    if (this.#vault?.key !== key) {
      const before = this.#vault
      this.#vault = { key, source: this.#openVault(settings) }
      // Sessions may still live by what was leased there; it ends by itself.
      if (before !== undefined) void before.source.then((source) => source.abandon()).catch(this.#reportFault)
    }
    const { source } = this.#vault
    try {
      return await source
    } catch (error) {
      if (this.#vault?.source === source) this.#vault = undefined
      throw error
    }
  }

  async #openVault(settings: VaultSettings): Promise<VaultSource> {
    const ca = settings.ca === undefined ? undefined : (await this.#read(settings.ca)).reveal()
    return new VaultSource({
      settings,
      clock: this.#options.clock,
      ca,
      resolve: (ref) => this.resolve(ref),
      report: this.#reportFault,
    })
  }

  readonly #reportFault = (error: unknown): void => this.#options.report?.(error)

  /** Once per file, or a busy connection would fill the log. */
  readonly #warnOnce = (message: string): void => {
    if (this.#warned.has(message)) return
    this.#warned.add(message)
    this.#options.warn(message)
  }
}

function nonEmpty(value: string): Secret {
  if (value === '') throw new GatewayError('invalid', 'it is empty.')
  return new Secret(value)
}
