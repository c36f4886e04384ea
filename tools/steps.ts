/**
 * Runs commands as named steps, a few at a time, and tells how each went. A step that cannot be started has failed:
 * nothing is skipped.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from './dist.ts'

export type Step = {
  readonly name: string
  /** The command and its arguments. A bare command is looked up in `node_modules/.bin` first, then on the PATH. */
  readonly command: readonly [string, ...string[]]
  readonly env?: Readonly<Record<string, string>>
  /** Shows the output as it comes, instead of only after a failure. For the one long step of a run. */
  readonly live?: boolean
}

export type Outcome = {
  readonly step: Step
  readonly ok: boolean
  readonly ms: number
  readonly output: string
}

/** How long output may still come after a step has ended. */
const LEFT_BEHIND_MS = 2_000

/** The environment of every step: this Node first, the project's tools next, and no colours. */
function stepEnv(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const path = [join(process.execPath, '..'), join(ROOT, 'node_modules', '.bin'), process.env['PATH'] ?? '']
  const env: NodeJS.ProcessEnv = { ...process.env, ...extra, NO_COLOR: '1', PATH: path.join(':') }
  delete env['FORCE_COLOR']
  return env
}

export async function runStep(step: Step): Promise<Outcome> {
  const started = performance.now()
  const [command, ...args] = step.command
  const chunks: Buffer[] = []
  const ended = await new Promise<{ ok: boolean; why: string }>((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      env: stepEnv(step.env),
      stdio: ['ignore', step.live === true ? 'inherit' : 'pipe', step.live === true ? 'inherit' : 'pipe'],
    })
    child.stdout?.on('data', (bytes: Buffer) => chunks.push(bytes))
    child.stderr?.on('data', (bytes: Buffer) => chunks.push(bytes))
    child.on('error', (error) => resolve({ ok: false, why: `cannot run ${command}: ${error.message}` }))
    child.on('exit', (code, signal) => {
      const end = (): void => {
        resolve({ ok: code === 0, why: signal === null ? '' : `${command} was ended by ${signal}` })
      }
      child.on('close', end)
      // A process that a test left behind may hold the pipes open for ever.
      setTimeout(() => {
        child.stdout?.destroy()
        child.stderr?.destroy()
        end()
      }, LEFT_BEHIND_MS).unref()
    })
  })
  const output = [Buffer.concat(chunks).toString('utf8').trim(), ended.why].filter(Boolean).join('\n')
  return { step, ok: ended.ok, ms: performance.now() - started, output }
}

/** Runs all steps, `width` at a time in the order given, and prints one line for each as it ends. */
export async function runSteps(steps: readonly Step[], width: number): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = []
  const waiting = [...steps]
  const lane = async (): Promise<void> => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      const outcome = await runStep(step)
      outcomes.push(outcome)
      process.stdout.write(
        `${outcome.ok ? 'ok    ' : 'FAILED'} ${step.name.padEnd(24)} ${seconds(outcome.ms)}\n`,
      )
      if (!outcome.ok && outcome.output !== '') process.stdout.write(`${indented(outcome.output)}\n`)
    }
  }
  await Promise.all(Array.from({ length: width }, lane))
  return outcomes
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(5)} s`
}

function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n')
}
