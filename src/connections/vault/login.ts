import type { Clock, Secret, SecretRef, Timer, VaultAuth } from '../../core/index.ts'
import { GatewayError, LIMITS } from '../../core/index.ts'
import type { VaultAnswer, VaultClient } from './client.ts'
import { VaultRefusal } from './client.ts'

type Token = {
  readonly value: string
  /** Milliseconds since 1970; undefined: it does not end, as root tokens do not. */
  readonly endsAt: number | undefined
  /** How long it lived when it was got: what a renewal asks for. */
  readonly lifeMs: number
  readonly isRenewable: boolean
}

/**
 * The token of the gateway at Vault: got when it is first needed, renewed at three quarters of its life, and got anew when it can be
 * renewed no more. Vault ends whatever was leased under a token together with it: `replaced` is told of another token.
 */
export class VaultLogin {
  readonly #client: VaultClient
  readonly #auth: VaultAuth
  readonly #clock: Clock
  readonly #resolve: (ref: SecretRef) => Promise<Secret>
  readonly #replaced: () => void
  #token: Token | undefined
  #getting: Promise<Token> | undefined
  #timer: Timer | undefined

  constructor(parts: {
    readonly client: VaultClient
    readonly auth: VaultAuth
    readonly clock: Clock
    readonly resolve: (ref: SecretRef) => Promise<Secret>
    readonly replaced: () => void
  }) {
    this.#client = parts.client
    this.#auth = parts.auth
    this.#clock = parts.clock
    this.#resolve = parts.resolve
    this.#replaced = parts.replaced
  }

  /** Asks Vault with a token that it takes. A 403 may be that of a token that was revoked: it is tried once with another. */
  async ask(
    method: 'GET' | 'POST',
    path: string,
    body?: Readonly<Record<string, unknown>>,
  ): Promise<VaultAnswer> {
    const token = await this.#current()
    try {
      return await this.#client.ask(method, path, token.value, body)
    } catch (error) {
      if (!(error instanceof VaultRefusal) || error.status !== 403 || this.#auth.kind === 'token') throw error
      if (await this.#isAlive(token)) throw error
    }
    this.#drop(token)
    return await this.#client.ask(method, path, (await this.#current()).value, body)
  }

  /** Gives the token back, and with it all that was leased under it. One that was given to the gateway is not its own to end. */
  async end(): Promise<void> {
    this.#timer?.cancel()
    const token = this.#token
    this.#token = undefined
    if (token === undefined || this.#auth.kind === 'token') return
    await this.#client.ask('POST', 'auth/token/revoke-self', token.value)
  }

  abandon(): void {
    this.#timer?.cancel()
  }

  async #current(): Promise<Token> {
    const token = this.#token
    if (token !== undefined && (token.endsAt === undefined || this.#clock.now() < token.endsAt)) return token
    this.#getting ??= this.#get().finally(() => {
      this.#getting = undefined
    })
    return await this.#getting
  }

  async #get(): Promise<Token> {
    const since = this.#clock.now()
    const had = this.#token !== undefined
    const token = await this.#fresh(since)
    this.#keep(token)
    if (had) this.#replaced()
    return token
  }

  async #fresh(since: number): Promise<Token> {
    const auth = this.#auth
    try {
      switch (auth.kind) {
        case 'token': {
          const value = (await this.#resolve(auth.token)).reveal()
          const { data } = await this.#client.ask('GET', 'auth/token/lookup-self', value)
          const seconds = typeof data?.['ttl'] === 'number' ? data['ttl'] : 0
          const lifeMs = seconds * 1000
          return {
            value,
            endsAt: seconds === 0 ? undefined : since + lifeMs,
            lifeMs,
            isRenewable: data?.['renewable'] === true,
          }
        }
        case 'appRole':
          return await this.#logIn(since, auth.mount, {
            role_id: (await this.#resolve(auth.roleId)).reveal(),
            secret_id: (await this.#resolve(auth.secretId)).reveal(),
          })
        case 'kubernetes':
          return await this.#logIn(since, auth.mount, {
            role: auth.role,
            jwt: (await this.#resolve(auth.jwt)).reveal(),
          })
      }
    } catch (error) {
      if (!(error instanceof VaultRefusal)) throw error
      throw new GatewayError('invalid', `Vault does not let the gateway in (${error.status}).`, {
        remedy: 'Check vault.auth in the configuration, and the role in Vault.',
        retry: 'later',
      })
    }
  }

  async #logIn(since: number, mount: string, body: Readonly<Record<string, string>>): Promise<Token> {
    const { auth } = await this.#client.ask('POST', `auth/${mount}/login`, undefined, body)
    if (auth === undefined || auth === null) {
      throw new GatewayError('upstream_unreachable', 'Vault gives no token.', { retry: 'later' })
    }
    return tokenOf(auth, since)
  }

  #keep(token: Token): void {
    this.#timer?.cancel()
    this.#token = token
    if (token.endsAt === undefined || !token.isRenewable) return
    const left = token.endsAt - this.#clock.now()
    this.#timer = this.#clock.after(
      Math.max((left * 3) / 4, LIMITS.vaultRetryMs),
      () => void this.#renew(token),
    )
  }

  /** What goes wrong here is met again, and told, by whoever needs the token next. */
  async #renew(token: Token): Promise<void> {
    if (this.#token !== token) return
    const since = this.#clock.now()
    try {
      const { auth } = await this.#client.ask('POST', 'auth/token/renew-self', token.value, {
        increment: `${Math.ceil(token.lifeMs / 1000)}s`,
      })
      if (auth === undefined || auth === null || this.#token !== token) return
      const next = { ...tokenOf(auth, since), value: token.value, lifeMs: token.lifeMs }
      // Near the longest life that Vault gives it, each renewal gives less: another is got while this one is good.
      if ((next.endsAt ?? 0) - since < token.lifeMs / 2) await this.#another(token)
      else this.#keep(next)
    } catch (error) {
      if (error instanceof VaultRefusal) await this.#another(token).catch(() => undefined)
      else this.#keep(token)
    }
  }

  async #another(token: Token): Promise<void> {
    if (this.#auth.kind === 'token') return
    const fresh = await this.#fresh(this.#clock.now())
    if (this.#token !== token) return
    this.#keep(fresh)
    this.#replaced()
  }

  #drop(token: Token): void {
    if (this.#token !== token) return
    this.#timer?.cancel()
    this.#token = undefined
    this.#replaced()
  }

  async #isAlive(token: Token): Promise<boolean> {
    try {
      await this.#client.ask('GET', 'auth/token/lookup-self', token.value)
      return true
    } catch (error) {
      if (error instanceof VaultRefusal) return false
      throw error
    }
  }
}

function tokenOf(auth: NonNullable<VaultAnswer['auth']>, since: number): Token {
  const lifeMs = auth.lease_duration * 1000
  return {
    value: auth.client_token,
    endsAt: lifeMs === 0 ? undefined : since + lifeMs,
    lifeMs,
    isRenewable: auth.renewable,
  }
}
