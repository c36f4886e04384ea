import { createMasterKeyFile, loadMasterKeys, SealedSecrets } from '../connections/index.ts'
import type { Clock, RandomBytes, Secret } from '../core/index.ts'
import { claimDataDirectory, Store } from '../store/index.ts'
import { ownCertificate } from './listeners.ts'

/**
 * What a gateway needs before its first start: a new master key outside the data directory, its certificate, and the
 * secrets that its configuration refers to, sealed. Throws `conflict` when there is a key already: it belongs to what
 * was sealed with it.
 */
export async function prepareGateway(wanted: {
  readonly dataDirectory: string
  readonly keyFile: string
  readonly secrets: ReadonlyMap<string, Secret>
  readonly clock: Clock
  readonly random: RandomBytes
  readonly report: (error: unknown) => void
}): Promise<void> {
  const { dataDirectory, keyFile, clock, random } = wanted
  await createMasterKeyFile(keyFile, random)
  const data = claimDataDirectory(dataDirectory)
  try {
    await ownCertificate(dataDirectory, clock)
    const store = await Store.open(dataDirectory, wanted.report)
    try {
      const keys = await loadMasterKeys({
        environment: {},
        keyFile,
        dataDirectory,
        demo: false,
        warn: (message) => wanted.report(new Error(message)),
      })
      const sealed = await SealedSecrets.open({ store: store.sealedSecrets, keys, clock, random })
      for (const [name, value] of wanted.secrets) await sealed.set(name, value, 'init')
    } finally {
      await store.close()
    }
  } finally {
    data.release()
  }
}
