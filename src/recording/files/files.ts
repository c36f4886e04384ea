import { type FileHandle, open, readdir } from 'node:fs/promises'

/** What the readers and the sealer share of plain file handling. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

export async function listIfThere(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

export async function openIfThere(path: string, flags: 'r' | 'r+' = 'r'): Promise<FileHandle | undefined> {
  try {
    return await open(path, flags)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Names made, changed or removed in the directory are on the disk when it resolves. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
