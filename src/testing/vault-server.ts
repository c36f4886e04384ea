import { randomUUID } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import { createServer } from 'node:http'

/** A kind of role of the database engine, and what Vault does for it. Seconds. */
type DatabaseRole = { readonly ttl: number; readonly ttlMax: number }

type Token = {
  endsAt: number
  readonly lastsUntil: number
  readonly renewable: boolean
  readonly policy: string
}
type Lease = { endsAt: number; readonly lastsUntil: number; readonly token: string; readonly user: string }
type Body = Readonly<Record<string, unknown>>
type Answer = { readonly status: number; readonly body?: Body }

export const APP_ROLE = { roleId: 'role-id-of-the-gateway', secretId: 'secret-id-of-the-gateway' } as const
export const SERVICE_ACCOUNT_JWT = 'eyJ.of-the-service-account.x'

/**
 * A stand-in for HashiCorp Vault in this process, with what its HTTP API checks and says: tokens that end, that are renewed up to
 * their longest life and take their leases with them; policies by path; KV version 2; the database engine with leases. Time is
 * the test's. https://developer.hashicorp.com/vault/api-docs
 */
export class VaultServer {
  /** `METHOD path`, in order. */
  readonly asked: string[] = []
  /** Values of KV version 2, by path below the mount `secret`. */
  readonly kv = new Map<string, Body>()
  readonly roles = new Map<string, DatabaseRole>()
  /** Roles that the database has now. */
  readonly users = new Set<string>()
  isSealed = false
  /** Seconds that a login lives, and lives at most. */
  tokenTtl = 3600
  tokenTtlMax = 7200
  readonly #now: () => number
  readonly #namespace: string | undefined
  readonly #tokens = new Map<string, Token>()
  readonly #leases = new Map<string, Lease>()
  #server: Server | undefined
  #made = 0

  constructor(now: () => number, namespace?: string) {
    this.#now = now
    this.#namespace = namespace
  }

  async start(): Promise<string> {
    const server = createServer((request, response) => {
      void bodyOf(request).then((body) => {
        const answer = this.#answer(request, body)
        response.writeHead(answer.status, { 'content-type': 'application/json' })
        response.end(answer.body === undefined ? '' : JSON.stringify(answer.body))
      })
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections()
    await new Promise((resolve) => this.#server?.close(resolve))
  }

  /** A token that somebody made for the gateway. `ttl` 0: it does not end. */
  giveToken(ttl = 0): string {
    return this.#newToken(ttl, ttl === 0 ? 0 : this.tokenTtlMax, 'gateway')
  }

  /** As an administrator does. */
  revokeTokens(): void {
    for (const token of this.#tokens.keys()) this.#endToken(token)
  }

  #newToken(ttl: number, ttlMax: number, policy: string): string {
    const token = `hvs.${randomUUID()}`
    const now = this.#now()
    const forever = Number.POSITIVE_INFINITY
    this.#tokens.set(token, {
      endsAt: ttl === 0 ? forever : now + ttl * 1000,
      lastsUntil: ttlMax === 0 ? forever : now + ttlMax * 1000,
      renewable: ttl !== 0,
      policy,
    })
    return token
  }

  #answer(request: IncomingMessage, body: Body): Answer {
    const path = (request.url ?? '').replace(/^\/v1\//, '')
    this.asked.push(`${request.method} ${path}`)
    this.#expire()
    if (this.isSealed) return { status: 503, body: { errors: ['Vault is sealed'] } }
    // Another namespace has other mounts.
    const namespace = request.headers['x-vault-namespace']
    if (namespace !== this.#namespace) return failure(404, 'no handler for route')
    const isWrite = request.method === 'POST' || request.method === 'PUT'
    if (path === 'auth/approle/login' && isWrite) {
      if (body['role_id'] !== APP_ROLE.roleId || body['secret_id'] !== APP_ROLE.secretId)
        return failure(400, 'invalid role or secret ID')
      return this.#loggedIn()
    }
    if (path === 'auth/kubernetes/login' && isWrite) {
      if (body['role'] !== 'sluice') return failure(400, `invalid role name "${String(body['role'])}"`)
      if (body['jwt'] !== SERVICE_ACCOUNT_JWT) return failure(403, 'permission denied')
      return this.#loggedIn()
    }
    const shown = request.headers['x-vault-token']
    const token = typeof shown === 'string' ? this.#tokens.get(shown) : undefined
    if (token === undefined || typeof shown !== 'string') return failure(403, 'permission denied')
    return this.#asKnown(`${isWrite ? 'write' : 'read'} ${path}`, body, shown, token)
  }

  #asKnown(what: string, body: Body, id: string, token: Token): Answer {
    switch (what) {
      case 'read auth/token/lookup-self': {
        const ttl = Number.isFinite(token.endsAt) ? Math.floor((token.endsAt - this.#now()) / 1000) : 0
        return { status: 200, body: { data: { ttl, renewable: token.renewable } } }
      }
      case 'write auth/token/renew-self': {
        if (!token.renewable) return failure(400, 'lease is not renewable')
        token.endsAt = Math.min(this.#now() + seconds(body['increment']) * 1000, token.lastsUntil)
        return { status: 200, body: { auth: this.#authOf(id, token) } }
      }
      case 'write auth/token/revoke-self':
        this.#endToken(id)
        return { status: 204 }
      case 'write sys/leases/renew': {
        const lease = this.#leases.get(String(body['lease_id']))
        if (lease === undefined) return failure(400, 'lease not found')
        lease.endsAt = Math.min(this.#now() + seconds(body['increment']) * 1000, lease.lastsUntil)
        const left = Math.floor((lease.endsAt - this.#now()) / 1000)
        return { status: 200, body: { lease_id: body['lease_id'], renewable: true, lease_duration: left } }
      }
      case 'write sys/leases/revoke': {
        this.#endLease(String(body['lease_id']))
        return { status: 204 }
      }
    }
    const [, key] = /^read secret\/data\/(.+)$/.exec(what) ?? []
    if (key !== undefined) return this.#kv(key)
    const [, role] = /^read database\/creds\/(.+)$/.exec(what) ?? []
    if (role !== undefined) return this.#newRole(role, id)
    // The policy of the gateway has nothing else; KV version 2 has no values without /data/.
    return failure(403, 'permission denied')
  }

  #kv(key: string): Answer {
    if (key.startsWith('others/')) return failure(403, 'permission denied')
    const data = this.kv.get(key)
    if (data === undefined) return { status: 404, body: { errors: [] } }
    const metadata = { created_time: '2026-01-01T00:00:00Z', version: 1, destroyed: false }
    return {
      status: 200,
      body: { lease_id: '', renewable: false, lease_duration: 0, data: { data, metadata }, auth: null },
    }
  }

  #newRole(name: string, token: string): Answer {
    const role = this.roles.get(name)
    if (role === undefined) return failure(400, `unknown role: ${name}`)
    this.#made++
    const user = `v-approle-${name}-${this.#made}`
    const now = this.#now()
    const id = `database/creds/${name}/${randomUUID()}`
    this.users.add(user)
    this.#leases.set(id, {
      endsAt: now + role.ttl * 1000,
      lastsUntil: now + role.ttlMax * 1000,
      token,
      user,
    })
    return {
      status: 200,
      body: {
        lease_id: id,
        renewable: true,
        lease_duration: role.ttl,
        data: { username: user, password: `password-of-${user}` },
        auth: null,
      },
    }
  }

  #loggedIn(): Answer {
    const id = this.#newToken(this.tokenTtl, this.tokenTtlMax, 'gateway')
    const token = this.#tokens.get(id)
    if (token === undefined) throw new Error('a token that was made is there')
    return { status: 200, body: { auth: this.#authOf(id, token) } }
  }

  #authOf(id: string, token: Token): Body {
    return {
      client_token: id,
      policies: ['default', token.policy],
      lease_duration: Math.floor((token.endsAt - this.#now()) / 1000),
      renewable: token.renewable,
    }
  }

  #expire(): void {
    for (const [id, token] of this.#tokens) if (token.endsAt <= this.#now()) this.#endToken(id)
    for (const [id, lease] of this.#leases) if (lease.endsAt <= this.#now()) this.#endLease(id)
  }

  /** What was leased under it ends with it. */
  #endToken(id: string): void {
    this.#tokens.delete(id)
    for (const [lease, { token }] of this.#leases) if (token === id) this.#endLease(lease)
  }

  #endLease(id: string): void {
    const lease = this.#leases.get(id)
    if (lease === undefined) return
    this.users.delete(lease.user)
    this.#leases.delete(id)
  }
}

function failure(status: number, message: string): Answer {
  return { status, body: { errors: [message] } }
}

/** `60` or `60s`. */
function seconds(increment: unknown): number {
  return Number(String(increment).replace(/s$/, ''))
}

async function bodyOf(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  return text === '' ? {} : (JSON.parse(text) as Body)
}
