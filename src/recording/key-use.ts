import { join } from 'node:path'
import { listIfThere, openIfThere } from './files.ts'
import { readFileHeader } from './file-header.ts'
import { SEALED_HEADER_BYTES } from './format.ts'
import { journalDirectory, journalFileName, journalNumbers } from './names.ts'

/**
 * How many files of the journal need each recording key, by the key's id; `undefined` counts those that are not
 * encrypted. Reads headers only and takes no key; files without a right header are left out.
 */
export async function keyUse(directory: string): Promise<ReadonlyMap<string | undefined, number>> {
  const folder = journalDirectory(directory)
  const use = new Map<string | undefined, number>()
  const bytes = Buffer.alloc(SEALED_HEADER_BYTES)
  for (const number of journalNumbers(await listIfThere(folder))) {
    const file = await openIfThere(join(folder, journalFileName(number)))
    if (file === undefined) continue
    try {
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
      const header = readFileHeader(bytes.subarray(0, bytesRead), 'journal')
      if (typeof header !== 'string') use.set(header.keyId, (use.get(header.keyId) ?? 0) + 1)
    } finally {
      await file.close()
    }
  }
  return use
}
