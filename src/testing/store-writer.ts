/** Run by a test as a process of its own: writes rows until it is killed, and prints the name of each that is safe. */
import { claimDataDirectory, Store } from '../store/index.ts'

const folder = process.argv[2]
if (folder === undefined) throw new Error('usage: store-writer.ts DATA_DIRECTORY')

claimDataDirectory(folder)
const store = await Store.open(folder, (error) => {
  throw error
})

async function write(lane: number): Promise<never> {
  for (let n = 0; ; n++) {
    const name = `${lane}-${n}`
    await store.sealedSecrets.put({
      name,
      keyId: 'none',
      nonce: new Uint8Array(12),
      sealed: Buffer.alloc(200, n),
      updatedAt: n,
      updatedBy: 'writer',
    })
    await new Promise<void>((resolve) => {
      process.stdout.write(`${name}\n`, () => resolve())
    })
  }
}

await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(write))
