import { resolve } from 'node:path'
import type { Clock, SecretRef } from '../core/index.ts'
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

export type SecretResolverOptions = {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Where relative paths of `${file:}` begin: the folder of the configuration. */
  readonly directory: string
  readonly sealed: { get(name: string): Secret | undefined }
  readonly clock: Clock
  readonly warn: Warn
}

type Kept = { readonly until: number; readonly secret: Promise<Secret> }

/**
 * Turns references into secrets. Variables, files and the store are read each time, so that a change is seen by the
 * next session; what a command printed is used for a minute, and asked for once when many sessions want it together.
 */
export class SecretResolver {
  readonly #options: SecretResolverOptions
  readonly #kept = new Map<string, Kept>()
  readonly #warned = new Set<string>()

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

  /** Forgets what a command printed: for when the upstream no longer takes it. */
  forget(ref: SecretRef): void {
    if (ref.kind === 'command') this.#kept.delete(ref.command)
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
      case 'literal':
        return ref.value
      default:
        return assertNever(ref)
    }
  }

  async #run(command: string): Promise<Secret> {
    const now = this.#options.clock.now()
    const kept = this.#kept.get(command)
    if (kept !== undefined && kept.until > now) return await kept.secret
    const secret = runSecretCommand(command, this.#options.environment).then((printed) =>
      nonEmpty(trimLineBreak(printed)),
    )
    const entry = { until: now + LIMITS.secretCommandKeptMs, secret }
    this.#kept.set(command, entry)
    try {
      return await secret
    } catch (error) {
      // A failure is not kept: the next session asks again.
      if (this.#kept.get(command) === entry) this.#kept.delete(command)
      throw error
    }
  }

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
