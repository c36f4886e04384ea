import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { LIMITS } from '../core/index.ts'
import { UsageError } from './context.ts'

/** Asks on the terminal. The question goes to stderr: stdout may be read by a program. */
export async function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await terminal.question(question)).trim()
  } finally {
    terminal.close()
  }
}

/** Asks without showing what is typed. */
export async function askHidden(question: string): Promise<string> {
  process.stderr.write(question)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true })
  try {
    return await terminal.question('')
  } finally {
    terminal.close()
    process.stderr.write('\n')
  }
}

/** All of standard input, without the line break at its end. Throws UsageError for more than a secret may have. */
export async function readStdin(): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    if (length > LIMITS.secretBytesMax) throw new UsageError('Standard input is too long.')
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}

/** What a flag gave, `-` for standard input, or what is typed when there is somebody to ask. */
export async function givenOrAsked(
  given: string | undefined,
  question: string,
  flag: string,
): Promise<string> {
  if (given === '-') return (await readStdin()).trim()
  if (given !== undefined) return given
  if (!process.stdin.isTTY) throw new UsageError(`Nobody is there to ask: give ${flag}.`)
  return await ask(question)
}
