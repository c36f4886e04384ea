import { dirname } from 'node:path'
import type { Approvals } from '../approvals/index.ts'
import { programVersion } from './version.ts'
import type { SealedSecrets } from '../connections/index.ts'
import { SecretResolver } from '../connections/index.ts'
import type { Clock, RandomBytes, Ticket } from '../core/index.ts'
import { assertNever, brand, LIMITS } from '../core/index.ts'
import type { Credentials, IdentityBlocks } from '../identity/index.ts'
import type { Gateway } from '../session/index.ts'
import type { SharedStore, StoreChange } from '../store/index.ts'
import { Store } from '../store/index.ts'
import type { Configurations } from './configuration.ts'
import { storeOf } from './configuration.ts'

/** Opens the store that the configuration names: a file in the data directory, or what other gateways use too. */
export async function openStore(options: {
  readonly dataDirectory: string
  readonly configFile: string
  readonly clock: Clock
  readonly random: RandomBytes
  readonly report: (error: unknown) => void
}): Promise<Store> {
  const { dataDirectory, configFile, clock, random, report } = options
  const wanted = storeOf(configFile)
  if (wanted === undefined) return await Store.open(dataDirectory, report)
  const secrets = new SecretResolver({
    environment: process.env,
    directory: dirname(configFile),
    // Nothing of it can be had before it is open.
    sealed: { get: () => undefined },
    clock,
    warn: (message) => report(new Error(message)),
  })
  const postgres = {
    dsn: await secrets.resolve(wanted.dsn),
    ca: wanted.ca === undefined ? undefined : (await secrets.resolve(wanted.ca)).reveal(),
  }
  return await Store.openShared({ dataDirectory, postgres, clock, random, version: programVersion(), report })
}

/** More looks than one takes that is not answered. */
const LATE_LOOKS = 5

/** What is kept in memory of a shared store. */
export type Kept = {
  readonly approvals: Approvals
  readonly blocks: IdentityBlocks
  readonly configurations: Configurations
  readonly credentials: Credentials
  readonly sealed: SealedSecrets
}

/** Has everything in memory follow what other nodes change, and ends sessions that nobody could end any more. */
export function followStore(
  shared: SharedStore,
  kept: Kept,
  { gateway, clock }: { readonly gateway: Gateway; readonly clock: Clock },
): () => void {
  shared.follow((change) => followed(kept, change))
  let timer = clock.after(LIMITS.storeLookMs, look)
  let late = 0
  function look(): void {
    const ending = shared.ending()
    // A clock that was put forward, or a machine that slept, has not looked yet.
    late = ending === undefined ? 0 : late + 1
    if (ending !== undefined && late > LATE_LOOKS) gateway.terminate(() => true, ending)
    timer = clock.after(LIMITS.storeLookMs, look)
  }
  return () => timer.cancel()
}

async function followed(kept: Kept, { topic, key }: StoreChange): Promise<void> {
  switch (topic) {
    case 'approvals':
      return await kept.approvals.refresh(key === undefined ? undefined : brand<Ticket>(key))
    case 'blocks':
      return await kept.blocks.refresh()
    case 'configurations':
      return await kept.configurations.refresh()
    case 'credentials':
      return await kept.credentials.refresh(key)
    case 'sealed_secrets':
      return await kept.sealed.refresh()
    default:
      return assertNever(topic)
  }
}
