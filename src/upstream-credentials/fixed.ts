import type { BareRequest, UpstreamCredential, Worn } from './credential.ts'

type Pieces = {
  readonly fields?: readonly string[]
  readonly queryKeys?: readonly string[]
  /** What it is made of, as it stands now. */
  read(): Promise<readonly string[]>
  forget(): void
  wear(request: BareRequest, values: readonly string[]): Worn
}

/** A credential that lies somewhere and is read for every request: a change of it is seen by the next. */
export class FixedCredential implements UpstreamCredential {
  readonly fields: readonly string[]
  readonly queryKeys: readonly string[]
  readonly #pieces: Pieces
  readonly #values = new WeakMap<Worn, readonly string[]>()

  constructor(pieces: Pieces) {
    this.fields = pieces.fields ?? []
    this.queryKeys = pieces.queryKeys ?? []
    this.#pieces = pieces
  }

  async putOn(request: BareRequest): Promise<Worn> {
    const values = await this.#pieces.read()
    const worn = this.#pieces.wear(request, values)
    this.#values.set(worn, values)
    return worn
  }

  async refused(worn: Worn): Promise<boolean> {
    const before = this.#values.get(worn) ?? []
    this.#pieces.forget()
    const now = await this.#pieces.read()
    return now.some((value, i) => value !== before[i])
  }

  async check(): Promise<void> {
    await this.#pieces.read()
  }
}

/** The parts of a request that has one more field. */
export function withField(request: BareRequest, name: string, value: string) {
  return { target: request.target, headers: [...request.headers, name, value] }
}
