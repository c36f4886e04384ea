import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError } from '../../core/index.ts'
import { isMissing, syncDirectory } from '../files/files.ts'
import { streamDirectory } from '../files/names.ts'

/** The last frame that an outlet is done with, and when it was made: another journal has another there. */
export type Cursor = { readonly sequence: number; readonly time: number }

/** Of a frame that was not seen. */
export const UNKNOWN_TIME = 0

export const BEGINNING: Cursor = { sequence: 0, time: UNKNOWN_TIME }

/** Where an outlet is, on the disk: `stream/NAME` below the data directory, replaced as a whole. */
export class CursorFile {
  readonly #directory: string
  readonly #path: string

  /** `name` becomes part of a path: the configuration lets in small letters, digits, - and _ only. */
  constructor(directory: string, name: string) {
    if (!/^[a-z][a-z0-9_-]{0,62}$/.test(name)) throw new Error('not the name of an outlet')
    this.#directory = streamDirectory(directory)
    this.#path = join(this.#directory, name)
  }

  /** The beginning when there is none. Throws `invalid` for what is no cursor. */
  async read(): Promise<Cursor> {
    let text: string
    try {
      text = await readFile(this.#path, 'utf8')
    } catch (error) {
      if (isMissing(error)) return BEGINNING
      throw error
    }
    const [, sequence = '', time = ''] = /^(\d{1,16}) (\d{1,16})\n$/.exec(text) ?? []
    const cursor = { sequence: Number(sequence), time: Number(time) }
    if (sequence !== '' && Number.isSafeInteger(cursor.sequence) && Number.isSafeInteger(cursor.time))
      return cursor
    throw new GatewayError('invalid', `${this.#path} does not say how far its outlet is.`, {
      remedy: 'All that the journal still has is sent again.',
    })
  }

  /** On the disk when it resolves. */
  async write({ sequence, time }: Cursor): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const file = await open(`${this.#path}.new`, 'w', 0o600)
    try {
      await file.writeFile(`${sequence} ${time}\n`)
      await file.datasync()
    } finally {
      await file.close()
    }
    await rename(`${this.#path}.new`, this.#path)
    await syncDirectory(this.#directory)
  }
}
