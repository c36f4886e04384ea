import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { type FileSystem, systemFiles } from '../recording/index.ts'

export type FileCall = {
  readonly name: keyof FileSystem
  readonly count: number
  readonly path: string | undefined
}
/** What happens to a call: nothing, an error instead of it, or only so many bytes of a write and then an error. */
export type Fault = Error | { readonly short: number } | undefined

/** An error as the operating system throws it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: made by a test`), { code })
}

/** Where files are that no disk has to be waited for, for tests in which nothing loses power. */
export function memoryDirectory(): string {
  return existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
}

/** The machine's files, for tests in which nothing loses power: what the kernel has is enough. */
export const unsyncedFiles: FileSystem = {
  ...systemFiles,
  sync: () => {},
  syncLater: (_, done) => void setImmediate(done, null),
  syncDirectory: () => {},
}

/** `unsyncedFiles`, with every operation counted, and failing where a test says so. */
export class FaultyFiles implements FileSystem {
  fault: (call: FileCall) => Fault = () => undefined
  readonly calls = new Map<keyof FileSystem, number>()

  makeDirectory(path: string): void {
    this.#pass('makeDirectory', path)
    systemFiles.makeDirectory(path)
  }

  list(path: string): readonly string[] {
    this.#pass('list', path)
    return systemFiles.list(path)
  }

  open(path: string, flags: 'r' | 'r+' | 'w+' | 'wx+'): number {
    this.#pass('open', path)
    return systemFiles.open(path, flags)
  }

  read(file: number, bytes: Uint8Array, offset: number, length: number, position: number): number {
    this.#pass('read')
    return systemFiles.read(file, bytes, offset, length, position)
  }

  write(file: number, bytes: Uint8Array, offset: number, length: number, position: number): number {
    const fault = this.#meet('write')
    if (fault instanceof Error) throw fault
    const allowed = fault === undefined ? length : Math.min(length, fault.short)
    return allowed === 0 ? 0 : systemFiles.write(file, bytes, offset, allowed, position)
  }

  size(file: number): number {
    this.#pass('size')
    return systemFiles.size(file)
  }

  links(file: number): number {
    this.#pass('links')
    return systemFiles.links(file)
  }

  truncate(file: number, length: number): void {
    this.#pass('truncate')
    systemFiles.truncate(file, length)
  }

  sync(file: number): void {
    this.#pass('sync')
    unsyncedFiles.sync(file)
  }

  syncLater(file: number, done: (error: Error | null) => void): void {
    const fault = this.#meet('syncLater')
    if (fault instanceof Error) setImmediate(done, fault)
    else unsyncedFiles.syncLater(file, done)
  }

  close(file: number): void {
    // The number is free again even when close fails; only the report of it is at fault.
    systemFiles.close(file)
    this.#pass('close')
  }

  rename(from: string, to: string): void {
    this.#pass('rename', from)
    systemFiles.rename(from, to)
  }

  remove(path: string): void {
    this.#pass('remove', path)
    systemFiles.remove(path)
  }

  syncDirectory(path: string): void {
    this.#pass('syncDirectory', path)
    unsyncedFiles.syncDirectory(path)
  }

  #meet(name: keyof FileSystem, path?: string): Fault {
    const count = (this.calls.get(name) ?? 0) + 1
    this.calls.set(name, count)
    return this.fault({ name, count, path })
  }

  #pass(name: keyof FileSystem, path?: string): void {
    const fault = this.#meet(name, path)
    if (fault instanceof Error) throw fault
  }
}
