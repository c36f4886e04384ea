import type { Hash, Hmac } from 'node:crypto'
import { createHash, createHmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import type { SecretRef } from '../core/index.ts'
import type { BareRequest, CredentialPorts, UpstreamCredential, Worn } from './credential.ts'
import { usable, usableInField } from './credential.ts'
import { FixedCredential } from './fixed.ts'

type SigningSettings = {
  readonly region: string
  readonly service: string
  readonly accessKeyId: string
  readonly secretAccessKey: SecretRef
  readonly sessionToken?: SecretRef | undefined
}

/** Signed besides `host` and what begins with `x-amz-`; all others may be changed on the way by whoever is between. */
const SIGNED = new Set(['content-type', 'content-md5'])

/** Set by the signature, so a client has no say in them. */
const FIELDS = ['authorization', 'x-amz-date', 'x-amz-content-sha256', 'x-amz-security-token']

/**
 * Signs each request with AWS Signature Version 4:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. The key is never sent; it is
 * searched for all the same, and so is the signature, which is good for this request for some minutes.
 */
export function sigv4Credential(ports: CredentialPorts, settings: SigningSettings): UpstreamCredential {
  const { secretAccessKey, sessionToken } = settings
  const fixed = new FixedCredential({
    fields: FIELDS,
    async read() {
      const key = usable(await ports.resolveSecret(secretAccessKey))
      return sessionToken === undefined
        ? [key]
        : [key, usableInField(await ports.resolveSecret(sessionToken))]
    },
    forget() {
      ports.forgetSecret(secretAccessKey)
      if (sessionToken !== undefined) ports.forgetSecret(sessionToken)
    },
    wear: (request, secrets) => ({ target: request.target, headers: request.headers, secrets }),
  })
  return {
    fields: FIELDS,
    queryKeys: ['X-Amz-Signature', 'X-Amz-Credential', 'X-Amz-Security-Token'],
    async putOn(request) {
      const worn = await fixed.putOn(request)
      return signed(request, worn, settings, ports.clock.now())
    },
    // Nothing tells a new key from a clock that is wrong, or from a request that this key may not make.
    refused: () => Promise.resolve(false),
    check: () => fixed.check(),
  }
}

async function signed(
  request: BareRequest,
  { secrets }: Worn,
  settings: SigningSettings,
  now: number,
): Promise<Worn> {
  const { region, service, accessKeyId } = settings
  const [secretAccessKey = '', sessionToken] = secrets
  const url = new URL(request.origin)
  const at = request.target.indexOf('?')
  const path = at < 0 ? request.target : request.target.slice(0, at)
  const signer = new SignatureV4({
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    region,
    service,
    sha256: Sha256,
    // The one service that signs paths as they are sent, and wants the hash of the body as a field.
    uriEscapePath: service !== 's3',
    applyChecksum: service === 's3',
  })
  const headers: Record<string, string> = { host: url.host }
  for (let i = 0; i + 1 < request.headers.length; i += 2) {
    const name = (request.headers[i] ?? '').toLowerCase()
    if (!SIGNED.has(name) && !name.startsWith('x-amz-')) continue
    const value = request.headers[i + 1] ?? ''
    headers[name] = headers[name] === undefined ? value : `${headers[name]},${value}`
  }
  const { headers: full } = await signer.sign(
    {
      method: request.method,
      protocol: url.protocol,
      hostname: url.hostname,
      path,
      query: queryOf(at < 0 ? '' : request.target.slice(at + 1)),
      headers,
      body: request.body,
    },
    { signingDate: new Date(now) },
  )
  const added = FIELDS.flatMap((name) => (full[name] === undefined ? [] : [name, full[name]]))
  const signature = /Signature=([0-9a-f]{64})/.exec(full['authorization'] ?? '')?.[1]
  return {
    target: request.target,
    headers: [...request.headers, ...added],
    secrets: signature === undefined ? secrets : [...secrets, signature],
  }
}

/** As the other side reads it: a plus is a plus, and what cannot be unescaped stands for itself. */
function queryOf(query: string): Record<string, string | string[]> {
  const bag: Record<string, string | string[]> = Object.create(null)
  for (const pair of query.split('&')) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    const name = unescaped(at < 0 ? pair : pair.slice(0, at))
    const value = at < 0 ? '' : unescaped(pair.slice(at + 1))
    const known = bag[name]
    bag[name] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value]
  }
  return bag
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What the library hashes with. */
class Sha256 {
  readonly #secret: string | Uint8Array | undefined
  #hash: Hash | Hmac

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret === undefined ? undefined : bytesOf(secret)
    this.#hash = this.#fresh()
  }

  update(chunk: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(chunk))
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest())
  }

  reset(): void {
    this.#hash = this.#fresh()
  }

  #fresh(): Hash | Hmac {
    return this.#secret === undefined ? createHash('sha256') : createHmac('sha256', this.#secret)
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): string | Uint8Array {
  if (typeof data === 'string') return data
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)
}
