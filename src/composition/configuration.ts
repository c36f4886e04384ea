import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import type { Change, Config } from '../config/index.ts'
import { diffConfigs, formatChange, loadConfig } from '../config/index.ts'
import type { Clock, ConfigVersion, MaskingKeys, Problem, ReadFile } from '../core/index.ts'
import { formatProblem, GatewayError, isGatewayError, LIMITS } from '../core/index.ts'
import type { Policy } from '../policy/index.ts'
import { compilePolicy } from '../policy/index.ts'
import { PROTOCOLS } from '../protocols/index.ts'
import type { Snapshots } from '../session/index.ts'
import type { Activation, Store } from '../store/index.ts'

/** A configuration with its rules compiled: what can be put in force. */
export type Ready = {
  readonly config: Config
  readonly policy: Policy
  readonly text: string
  /** The address of its snapshot; absent where none was made. */
  readonly snapshot?: string
}

/** Gateways that begin in one moment get in each other's way once. */
const BEGINNINGS_MAX = 3

/** What an activation that began with the file of `--config` is signed with. */
const BY_FILE = 'configuration file'

/**
 * Reads and compiles a configuration. `read` gives the files that it names: those beside `file`, unless another is handed in.
 * Throws GatewayError `invalid` with every problem in its message.
 */
export function readConfiguration(
  file: string,
  text: string,
  report: (error: unknown) => void,
  keys?: MaskingKeys,
  read: ReadFile = (path) => beside(file, path),
): Ready {
  const loaded = loadConfig({ file, text }, { protocols: protocolsByName(), read })
  if (!loaded.ok) throw invalid(loaded.problems)
  const compiled = compilePolicy(loaded.config.policy, {
    onFault: ({ rule, effect, message }) =>
      report(
        new Error(`the condition of ${effect} ${rule.name} (${rule.file}:${rule.line}) failed: ${message}`),
      ),
    onFailure: () => report(new Error('the policy engine failed; the command was refused')),
    ...(keys === undefined ? {} : { keys }),
  })
  if (!compiled.ok) throw invalid(compiled.problems)
  return { config: loaded.config, policy: compiled.policy, text }
}

/** A file that a configuration names, whose path counts from where the configuration lies. */
function beside(file: string, path: string): string | undefined {
  const found = resolve(dirname(file), path)
  try {
    const known = statSync(found)
    return known.isFile() && known.size <= LIMITS.apiDescriptionBytesMax
      ? readFileSync(found, 'utf8')
      : undefined
  } catch (error) {
    // Whoever has it checked is told that it cannot be read, with the place that names it.
    if (error instanceof Error && 'code' in error) return undefined
    throw error
  }
}

function protocolsByName() {
  return Object.fromEntries(PROTOCOLS.map((each) => [each.name, each]))
}

function invalid(problems: readonly Problem[]): GatewayError {
  return new GatewayError('invalid', problems.map(formatProblem).join('\n'), { retry: 'only-if-changed' })
}

const KIND = 'configuration'

/** A configuration with where its rules say that they stand, as a snapshot (docs/formats/snapshots.md). */
function snapshotText(file: string, { text, config }: Ready): string {
  const files = config.files.size === 0 ? {} : { files: Object.fromEntries(config.files) }
  return JSON.stringify({ kind: KIND, file, text, ...files })
}

const snapshot = z.object({
  kind: z.literal(KIND),
  file: z.string(),
  text: z.string(),
  files: z.record(z.string(), z.string()).optional(),
})

/** The configuration that was kept in this snapshot. Throws `invalid` when this version cannot read it. */
export function configurationIn(text: string): Ready {
  const kept = snapshot.safeParse(JSON.parse(text))
  if (!kept.success) throw new GatewayError('invalid', 'This snapshot is not one of a configuration.')
  const files = new Map(Object.entries(kept.data.files ?? {}))
  return readConfiguration(
    kept.data.file,
    kept.data.text,
    () => undefined,
    undefined,
    (path) => files.get(path),
  )
}

async function kept(
  { file, snapshots }: { readonly file: string; readonly snapshots?: Snapshots | undefined },
  ready: Ready,
): Promise<Ready> {
  if (snapshots === undefined) return ready
  return { ...ready, snapshot: await snapshots.keep(snapshotText(file, ready)) }
}

/** What the file says of the store; it has to be known before anything else. Throws as reading the configuration does. */
export function storeOf(file: string): Config['store'] {
  const text = readText(file)
  const loaded = loadConfig(
    { file, text },
    { protocols: protocolsByName(), read: (path) => beside(file, path) },
  )
  if (!loaded.ok) throw invalid(loaded.problems)
  return loaded.config.store
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason'
    throw new GatewayError('not_found', `${file} cannot be read (${code}).`, {
      remedy: 'Name the configuration file, or make one with: sluice init --postgres DSN',
      cause,
    })
  }
}

type ConfigurationParts = {
  readonly store: Store
  readonly clock: Clock
  readonly file: string
  readonly report: (error: unknown) => void
  /** What hashes and pseudonyms are made with. */
  readonly keys: MaskingKeys
  /** For who judges recorded commands anew. Absent: nothing is kept. */
  readonly snapshots?: Snapshots
}

/** The configuration in force, and the versions before it; the active one lives in the store. */
export class Configurations {
  readonly #store: Store
  readonly #clock: Clock
  readonly #file: string
  readonly #report: (error: unknown) => void
  readonly #keys: MaskingKeys
  readonly #listeners: ((ready: Ready) => void)[] = []
  #current: Ready
  readonly #snapshots: Snapshots | undefined
  /** What is put in force is so one after the other: by this node, and by others. */
  #adopting: Promise<unknown> = Promise.resolve()

  private constructor(parts: ConfigurationParts, current: Ready) {
    this.#store = parts.store
    this.#clock = parts.clock
    this.#file = parts.file
    this.#report = parts.report
    this.#keys = parts.keys
    this.#snapshots = parts.snapshots
    this.#current = current
  }

  /**
   * Puts the file in force when it descends from the active version: the file is what was applied last, or what was
   * applied last came from the file. A version applied through the API since is not overwritten in silence: then this
   * throws `conflict` and shows the difference. Where several gateways share a store, a file that was in force before is
   * one that was not replaced yet: then the active version is in force, and this says so.
   */
  static async open(parts: ConfigurationParts): Promise<Configurations> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await Configurations.#begin(parts)
      } catch (error) {
        // Another gateway that begins as well may have been faster, with the same file.
        const mayPass = isGatewayError(error) && error.code === 'conflict' && parts.store.shared !== undefined
        if (!mayPass || attempt >= BEGINNINGS_MAX) throw error
      }
    }
  }

  static async #begin(parts: ConfigurationParts): Promise<Configurations> {
    const fromFile = readConfiguration(parts.file, readText(parts.file), parts.report, parts.keys)
    const active = await parts.store.configurations.active()
    const configurations = new Configurations(parts, await kept(parts, fromFile))
    if (active?.version === fromFile.config.version) return configurations
    const { shared, configurations: known } = parts.store
    if (
      active !== undefined &&
      shared !== undefined &&
      (await known.find(fromFile.config.version)) !== undefined
    ) {
      parts.report(
        new Error(
          `${parts.file} is older than the configuration that the other gateways have (${active.version}): that one is in force here too`,
        ),
      )
      configurations.#current = await kept(parts, configurations.#read(active.text))
      return configurations
    }
    if (active !== undefined && active.by !== BY_FILE) {
      const before = readConfiguration(parts.file, active.text, parts.report)
      const changes = diffConfigs(before.config, fromFile.config).map(formatChange)
      throw new GatewayError(
        'conflict',
        `The active configuration was applied by ${active.by}, and ${parts.file} differs from it:\n${changes.join('\n')}`,
        {
          remedy:
            'Write the active version into the file (sluice config show), or apply the file: sluice config apply.',
        },
      )
    }
    await configurations.#activate(fromFile, BY_FILE, active?.version)
    return configurations
  }

  get current(): Ready {
    return this.#current
  }

  onChange(listener: (ready: Ready) => void): void {
    this.#listeners.push(listener)
  }

  /** What would change. Throws `invalid` for a text that is no configuration. */
  check(text: string): { readonly version: ConfigVersion; readonly changes: readonly Change[] } {
    const { config } = readConfiguration(this.#file, text, this.#report)
    return { version: config.version, changes: diffConfigs(this.#current.config, config) }
  }

  async apply(text: string, by: string): Promise<Activation> {
    return await this.#oneAtATime(async () => {
      const read = this.#read(text)
      const activation = await this.#activate(read, by, this.#current.config.version)
      await this.#adopt(read)
      return activation
    })
  }

  /** Puts in force what another node has. Throws `invalid` when this version of the program cannot read it. */
  async refresh(): Promise<void> {
    await this.#oneAtATime(async () => {
      const active = await this.#store.configurations.active()
      if (active === undefined || active.version === this.#current.config.version) return
      const read = this.#read(active.text)
      if (read.config.version !== active.version && read.config.files.size > 0) {
        throw new GatewayError(
          'invalid',
          'The files that the active configuration names are others on this node.',
          {
            remedy: 'Bring the same files to every gateway.',
            retry: 'only-if-changed',
          },
        )
      }
      await this.#adopt(read)
    })
  }

  /** Throws `invalid`: for a text that is none, and for one that would move the store under a gateway that runs. */
  #read(text: string): Ready {
    const read = readConfiguration(this.#file, text, this.#report, this.#keys)
    if (JSON.stringify(read.config.store) === JSON.stringify(this.#current.config.store)) return read
    throw new GatewayError('invalid', 'Where the store is changes only when a gateway starts.', {
      remedy: 'Stop every gateway, change "store" in the file of each, and start them again.',
      retry: 'only-if-changed',
    })
  }

  async #adopt(read: Ready): Promise<void> {
    const before = this.#current.snapshot
    const ready = await kept({ file: this.#file, snapshots: this.#snapshots }, read)
    this.#current = ready
    for (const listener of this.#listeners) listener(ready)
    if (before !== undefined) this.#snapshots?.release(before)
  }

  async #oneAtATime<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#adopting.then(work, work)
    this.#adopting = mine
    return await mine
  }

  async changesSince(version: ConfigVersion): Promise<readonly Change[]> {
    const before = readConfiguration(this.#file, (await this.#find(version)).text, this.#report)
    return diffConfigs(before.config, this.#current.config)
  }

  async rollback(version: ConfigVersion, by: string): Promise<Activation> {
    return await this.apply((await this.#find(version)).text, by)
  }

  history(limit: number): Promise<readonly Activation[]> {
    return this.#store.configurations.history(limit)
  }

  async #find(version: ConfigVersion): Promise<{ readonly text: string }> {
    const found = await this.#store.configurations.find(version)
    if (found !== undefined) return found
    throw new GatewayError('not_found', `There was never a configuration ${version}.`, {
      remedy: 'List them with: sluice config history',
    })
  }

  async #activate(ready: Ready, by: string, expected: ConfigVersion | undefined): Promise<Activation> {
    const next = { version: ready.config.version, text: ready.text, at: this.#clock.now(), by }
    const activation = await this.#store.configurations.activate(next, expected)
    if (activation !== undefined) return activation
    throw new GatewayError('conflict', 'Another configuration was applied meanwhile; nothing was changed.', {
      remedy: 'Look at it with: sluice config history',
    })
  }
}
