import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ConnectionName, OutwardKind } from '../../../core/index.ts'
import { isGatewayError, LIMITS, OUTWARD_KINDS } from '../../../core/index.ts'
import type { OutwardKnown } from '../../../session/index.ts'
import { outwardIn } from '../../../session/index.ts'
import type { Searcher } from '../../../upstream-credentials/index.ts'
import { searcherOf } from '../../../upstream-credentials/index.ts'
import { codingsOf, decoded } from '../answers/decoding.ts'

/** What of a request goes out. Fields are names and values in turn, as they go on. */
export type Outgoing = {
  readonly target: string
  readonly headers: readonly string[]
  readonly body: Uint8Array
}

type Rules = {
  asks(connection: ConnectionName, fact: string): boolean
  masks(connection: ConnectionName): OutwardKnown['masks']
}

/** Looks for protected values in what clients send to upstreams: for rules that ask, and for people who are asked. */
export class Outward {
  readonly #rules: () => Rules
  readonly #secrets: () => Promise<readonly string[]>
  #searched: { readonly secrets: readonly string[]; readonly searcher: Searcher | undefined } | undefined

  /** `rules`: those in force now. `secrets`: the same list as long as they are the same. */
  constructor(rules: () => Rules, secrets: () => Promise<readonly string[]> = () => Promise.resolve([])) {
    this.#rules = rules
    this.#secrets = secrets
  }

  /** Whether a rule about this connection may ask for it now. Without one nothing has to be read. */
  asks(connection: ConnectionName): boolean {
    return this.#rules().asks(connection, 'outward')
  }

  /** The kinds of what is found, sorted; never a value. */
  async look(connection: ConnectionName, outgoing: Outgoing): Promise<readonly OutwardKind[]> {
    const known = { masks: this.#rules().masks(connection), secrets: this.#searcher(await this.#secrets()) }
    return await found(outgoing, known)
  }

  /** The secrets of the configuration, for who hides them. */
  secrets(): Promise<readonly string[]> {
    return this.#secrets()
  }

  #searcher(secrets: readonly string[]): Searcher | undefined {
    if (this.#searched?.secrets !== secrets) this.#searched = { secrets, searcher: searcherOf(secrets) }
    return this.#searched.searcher
  }
}

/** Lets others go on whenever it has taken its slice of time. */
export async function found(outgoing: Outgoing, known: OutwardKnown): Promise<readonly OutwardKind[]> {
  const { target, headers } = outgoing
  const body = await unpacked(outgoing)
  const fields = headers.filter((_, i) => i % 2 === 1).join('\n')
  const texts = [Buffer.from(target), Buffer.from(fields, 'latin1'), ...(body === undefined ? [] : [body])]
  const looking = outwardIn(texts, known)
  let until = performance.now() + LIMITS.outwardSliceMs
  for (let step = looking.next(); ; step = looking.next()) {
    if (step.done === true) {
      const unread = body === undefined && !step.value.includes('unread') ? (['unread'] as const) : []
      return OUTWARD_KINDS.filter((each) => [...step.value, ...unread].includes(each))
    }
    if (performance.now() < until) continue
    await nextTurn()
    until = performance.now() + LIMITS.outwardSliceMs
  }
}

/** The body without its codings (RFC 9110 section 8.4); undefined: they cannot be undone, or it becomes too long. */
async function unpacked({ headers, body }: Outgoing): Promise<Uint8Array | undefined> {
  const said = headers.filter((_, i) => i % 2 === 1 && headers[i - 1]?.toLowerCase() === 'content-encoding')
  const codings = codingsOf(said.join(','))
  if (codings === undefined) return undefined
  if (codings.length === 0 || body.length === 0) return body
  const pieces: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const piece of decoded(once(body), codings)) {
      bytes += piece.length
      if (bytes > LIMITS.httpRequestBodyBytesMax) return undefined
      pieces.push(Buffer.from(piece))
    }
  } catch (error) {
    // Not packed as it says: whoever takes it all the same may read it in a way that nobody here knows.
    if (isGatewayError(error)) return undefined
    throw error
  }
  return Buffer.concat(pieces)
}

async function* once(body: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield body
}
