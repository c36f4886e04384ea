import { spawn } from 'node:child_process'
import { GatewayError, LIMITS } from '../core/index.ts'
import { codeOf } from './secret-file.ts'

/**
 * The words of a command line: parted by blanks, kept together by single or double quotes, nothing else special. It
 * is not a shell: whoever wants one writes `sh -c '...'`. Throws `invalid` for no word, or a quote left open.
 */
export function splitCommand(line: string): [string, ...string[]] {
  const words: string[] = []
  let word: string | undefined
  let quote: string | undefined
  for (const character of line) {
    if (quote !== undefined) {
      if (character === quote) quote = undefined
      else word += character
    } else if (character === "'" || character === '"') {
      quote = character
      word ??= ''
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else {
      word = (word ?? '') + character
    }
  }
  if (quote !== undefined) throw new GatewayError('invalid', `A ${quote} is not closed in this command.`)
  if (word !== undefined) words.push(word)
  const [program, ...rest] = words
  if (program === undefined) throw new GatewayError('invalid', 'This command is empty.')
  return [program, ...rest]
}

/**
 * Runs a command and gives what it printed, at most `secretBytesMax` bytes within `timeoutMs`. What it prints to
 * stderr goes nowhere, since it may hold the secret. Throws `invalid`, naming the program and never its arguments.
 */
export async function runSecretCommand(
  line: string,
  environment: Readonly<Record<string, string | undefined>>,
  timeoutMs: number = LIMITS.secretCommandMs,
): Promise<string> {
  const [program, ...words] = splitCommand(line)
  // The master key opens every secret; a program that is asked for one has no use for it.
  const { SLUICE_KEY: _, ...inherited } = environment
  // In a group of its own, so that a shell's children end with it.
  const child = spawn(program, words, { env: inherited, stdio: ['ignore', 'pipe', 'ignore'], detached: true })
  const failed = (why: string, cause?: unknown) =>
    new GatewayError('invalid', `The command ${program} gave no secret: ${why}.`, {
      remedy: 'Run it by hand, as the Unix user of the gateway, to see what it says.',
      retry: 'later',
      cause,
    })
  return await new Promise<string>((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const finish = (settle: () => void) => {
      clearTimeout(timer)
      settle()
    }
    const stop = (why: string) => {
      if (child.pid !== undefined) killGroup(child.pid)
      child.stdout.destroy()
      finish(() => reject(failed(why)))
    }
    const timer = setTimeout(() => stop(`it took longer than ${timeoutMs} ms`), timeoutMs)
    child.on('error', (error) => finish(() => reject(failed(`it cannot be run (${codeOf(error)})`, error))))
    child.stdout.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > LIMITS.secretBytesMax) stop('it printed too much')
      else chunks.push(chunk)
    })
    child.on('close', (code, signal) => {
      if (code === 0) finish(() => resolve(Buffer.concat(chunks).toString('utf8')))
      else finish(() => reject(failed(code === null ? `it ended by ${signal}` : `it ended with ${code}`)))
    })
  })
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL')
  } catch (error) {
    // It ended by itself in the meantime, which is what was wanted.
    if (codeOf(error) !== 'ESRCH') throw error
  }
}
