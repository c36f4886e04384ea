import type { Failure } from '../audit/index.ts'
import type { Files } from './recorded-log.ts'
import type { SampleRecording } from './sample-recording.ts'

/** What an auditor is given besides the recording. */
export type Given = {
  readonly since?: Uint8Array
  readonly witnesses?: boolean
  readonly witnessesNeeded?: number
  /** The log key of before the rotation, of after it, or one of somebody else. */
  readonly keys?: readonly ('first' | 'next' | 'stranger')[]
  /** Recording keys as well: payloads are looked at. */
  readonly payloads?: boolean
}

/** One way to tamper with a recording, and the first place where verifying it must fail. */
export type Tampering = {
  readonly name: string
  readonly files: Files
  readonly given: Given
  /** Undefined: it must be proved all the same. */
  readonly expected: Partial<Failure> | undefined
  /** A file that must be said to be passed over. */
  readonly ignored?: string
}

/** Collects vectors over copies of one sample. */
export class Corpus {
  readonly vectors: Tampering[] = []
  readonly sample: SampleRecording

  constructor(sample: SampleRecording) {
    this.sample = sample
  }

  add(
    name: string,
    change: (files: Files) => void,
    expected: Partial<Failure> | undefined,
    given: Given = {},
    from: Files = this.sample.files,
  ): void {
    const files = copyOf(from)
    change(files)
    this.vectors.push({ name, files, given, expected })
  }

  /** A file that is there and says nothing. */
  passOver(path: string, bytes: Uint8Array): void {
    const files = copyOf(this.sample.files).set(path, bytes)
    this.vectors.push({
      name: `file: passed over is ${path}`,
      files,
      given: {},
      expected: undefined,
      ignored: path,
    })
  }
}

function copyOf(files: Files): Files {
  return new Map([...files].map(([path, bytes]) => [path, Uint8Array.from(bytes)]))
}

/** The bytes at a path, to be changed where they are. */
export function at(files: Files, path: string): Uint8Array {
  const bytes = files.get(path)
  if (bytes === undefined) throw new Error(`the sample has no ${path}`)
  return bytes
}

export function flip(bytes: Uint8Array, index: number): void {
  const place = index < 0 ? bytes.length + index : index
  bytes[place] = (bytes[place] ?? 0) ^ 1
}

export function swap(files: Files, a: string, b: string): void {
  const [first, second] = [at(files, a), at(files, b)]
  files.set(a, second)
  files.set(b, first)
}
