import * as fs from 'node:fs'

/**
 * The file operations the journal writes with, as a port: tests make each of them fail. Positions and lengths in bytes;
 * every method throws the error of the operating system.
 */
export interface FileSystem {
  makeDirectory(path: string): void
  list(path: string): readonly string[]
  /** `r`: read; the others also write. `r+`: as it is; `wx+`: a new file, which must not exist; `w+`: made or emptied. */
  open(path: string, flags: 'r' | 'r+' | 'w+' | 'wx+'): number
  read(file: number, bytes: Uint8Array, offset: number, length: number, position: number): number
  /** May write less than asked, as write(2) may. */
  write(file: number, bytes: Uint8Array, offset: number, length: number, position: number): number
  size(file: number): number
  /** How many names the file has in its directory: 0 once somebody has removed it. */
  links(file: number): number
  truncate(file: number, length: number): void
  /** The bytes of the file are on the disk when it returns. */
  sync(file: number): void
  /** The same without waiting. */
  syncLater(file: number, done: (error: Error | null) => void): void
  close(file: number): void
  rename(from: string, to: string): void
  remove(path: string): void
  /** Names made or removed in the directory are on the disk when it returns. */
  syncDirectory(path: string): void
}

/** Writes a whole piece, in as many writes as it takes. */
export function writeWhole(files: FileSystem, file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    const written = files.write(file, bytes, done, bytes.length - done, position + done)
    if (written === 0) throw new Error('the file takes no more bytes')
    done += written
  }
}

/** Recordings are for the gateway's own account: nobody else reads them. */
const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700

/** The file system of the machine. */
export const systemFiles: FileSystem = {
  makeDirectory(path) {
    fs.mkdirSync(path, { recursive: true, mode: DIRECTORY_MODE })
  },
  list: (path) => fs.readdirSync(path),
  open: (path, flags) => fs.openSync(path, flags, FILE_MODE),
  read: (file, bytes, offset, length, position) => fs.readSync(file, bytes, offset, length, position),
  write: (file, bytes, offset, length, position) => fs.writeSync(file, bytes, offset, length, position),
  size: (file) => fs.fstatSync(file).size,
  links: (file) => fs.fstatSync(file).nlink,
  truncate: (file, length) => fs.ftruncateSync(file, length),
  sync: (file) => fs.fdatasyncSync(file),
  syncLater: (file, done) => fs.fdatasync(file, done),
  close: (file) => fs.closeSync(file),
  rename: (from, to) => fs.renameSync(from, to),
  remove: (path) => fs.unlinkSync(path),
  syncDirectory(path) {
    // Windows has no such thing and needs none: its file system keeps names in its own log.
    if (process.platform === 'win32') return
    const directory = fs.openSync(path, 'r')
    try {
      fs.fsyncSync(directory)
    } finally {
      fs.closeSync(directory)
    }
  },
}
