import type { Config } from '../config/index.ts'
import type { RecordingKeys, SessionId } from '../core/index.ts'
import { isGatewayError } from '../core/index.ts'
import type { Policy } from '../policy/index.ts'
import { PROTOCOLS } from '../protocols/index.ts'
import {
  FieldOpener,
  type RecordedEntry,
  readSession,
  readSnapshot,
  sessionsBetween,
} from '../recording/index.ts'
import type { Rejudge } from '../session/index.ts'
import { type PolicyCheck, PolicyChecker } from '../simulation/check.ts'
import { type Deciding, type Simulation, type SimulationParts, Simulator } from '../simulation/simulate.ts'
import { configurationIn, readConfiguration } from './configuration.ts'

export type SimulationOptions = {
  /** The data directory, or a copy of it; only read. */
  readonly directory: string
  readonly keys: RecordingKeys
  /** The draft, and where it stands. */
  readonly file: string
  readonly text: string
  /** Milliseconds since 1970. */
  readonly since: number
  readonly until: number
  readonly connection?: string | undefined
  readonly onProgress?: (done: number, of: number) => void
}

export type Simulated = {
  readonly draft: { readonly policy: string; readonly configuration: string }
  readonly result: Simulation
}

/** Runs a draft over a recording. Throws `invalid` for a draft that is none, or a recording that cannot be read. */
export async function simulate(options: SimulationOptions): Promise<Simulated> {
  const { directory, keys, since, until, connection, onProgress } = options
  const draft = readConfiguration(options.file, options.text, () => undefined)
  const past = new Past(directory, keys)
  const simulator = new Simulator({ draft: decidingBy(draft), ...past.parts, since, until, connection })
  try {
    const sessions = await sessionsBetween(directory, keys, since, until)
    for (const [done, session] of sessions.entries()) {
      onProgress?.(done, sessions.length)
      try {
        await simulator.session(wholeSession(directory, keys, session))
      } catch (error) {
        // Retention was quicker.
        if (!isGatewayError(error) || error.code !== 'not_found') throw error
      }
    }
  } finally {
    await past.close()
  }
  return {
    draft: { policy: draft.policy.version, configuration: draft.config.version },
    result: simulator.result(),
  }
}

/** Holds a configuration against the decisions of these sessions that were made by it. Throws as `simulate` does. */
export async function checkPolicy(options: {
  readonly directory: string
  readonly keys: RecordingKeys
  readonly file: string
  readonly text: string
  readonly sessions: readonly SessionId[]
}): Promise<PolicyCheck> {
  const { directory, keys, sessions } = options
  const given = decidingBy(readConfiguration(options.file, options.text, () => undefined))
  const past = new Past(directory, keys)
  const checker = new PolicyChecker({ given, ...past.parts })
  try {
    for (const session of sessions) await checker.session(wholeSession(directory, keys, session))
  } finally {
    await past.close()
  }
  return checker.result()
}

/** A session as it was judged: sealed values are where they stood. Who may simulate has the recording keys. */
async function* wholeSession(
  directory: string,
  keys: RecordingKeys,
  session: SessionId,
): AsyncGenerator<RecordedEntry> {
  const opener = new FieldOpener(keys)
  for await (const each of readSession(directory, keys, session))
    yield { ...each, entry: opener.shown(each.entry, () => true) }
}

/** What is kept of the past of a data directory: configurations, and definitions for who judges by them. */
class Past {
  readonly #snapshot: (address: string) => Promise<string | undefined>
  readonly #configurations = new Map<string, Promise<Deciding | undefined>>()
  readonly #judges = new Map<string, Promise<Rejudge>>()

  constructor(directory: string, keys: RecordingKeys) {
    this.#snapshot = (address) => readSnapshot(directory, keys, address)
  }

  get parts(): Pick<SimulationParts, 'configuration' | 'rejudge'> {
    return {
      configuration: (address) => {
        const known = this.#configurations.get(address) ?? configurationAt(this.#snapshot, address)
        this.#configurations.set(address, known)
        return known
      },
      rejudge: async (name) => {
        const protocol = PROTOCOLS.find((each) => each.name === name)
        if (protocol === undefined) return undefined
        const known = this.#judges.get(name) ?? protocol.rejudge(this.#snapshot)
        this.#judges.set(name, known)
        return await known
      },
    }
  }

  async close(): Promise<void> {
    for (const judge of this.#judges.values()) await (await judge).close()
  }
}

async function configurationAt(
  snapshot: (address: string) => Promise<string | undefined>,
  address: string,
): Promise<Deciding | undefined> {
  const text = await snapshot(address)
  return text === undefined ? undefined : decidingBy(configurationIn(text))
}

function decidingBy({ config, policy }: { readonly config: Config; readonly policy: Policy }): Deciding {
  return { policy, connections: config.connections }
}
