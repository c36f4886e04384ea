import type { Clock } from '../core/index.ts'
import { Sealer, type SealerOptions } from '../recording/sealer/sealer.ts'
import { MemoryLogStorage } from './memory-log-storage.ts'
import { random, testKeys, testSeeds } from './recording-keys.ts'

/** Seals all that the journal of a data directory has; keeps the journal, unless `rest` says otherwise. */
export async function seal(
  directory: string,
  clock: Clock,
  rest: Partial<SealerOptions> = {},
): Promise<void> {
  const sealer = await Sealer.open({
    directory,
    clock,
    keys: testKeys,
    seeds: testSeeds,
    random,
    name: undefined,
    storage: new MemoryLogStorage(),
    indexed: () => 0,
    ...rest,
  })
  try {
    await sealer.finish()
  } finally {
    await sealer.close()
  }
}
