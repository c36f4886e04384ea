import { randomBytes } from 'node:crypto'
import { run } from './process.ts'
import { eventually } from './wait.ts'

/** A program in a real terminal, typed at and read from as by a person. */
export type Terminal = {
  /** Types text; `Enter` and `C-c` are separate words, as tmux names keys. */
  type(...keys: readonly string[]): Promise<void>
  /** What the screen shows, trailing blanks removed. */
  screen(): Promise<string>
  /** Waits until the screen shows it; the error says what it showed instead. */
  shows(pattern: RegExp, msMax?: number): Promise<string>
  /** Ends the program and its terminal. */
  close(): Promise<void>
}

/** The screen stays when the program has ended, and says so. Ctrl-C is for the program only. */
const STAY = 'trap : INT; "$@"; echo "[ended $?]"; sleep 3600'

/** Starts `command` under a tmux server of its own, so that nobody's sessions are touched. */
export async function openTerminal(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Terminal> {
  const socket = `sluice-test-${randomBytes(6).toString('hex')}`
  const tmux = async (...args: readonly string[]) => {
    const done = await run('tmux', ['-L', socket, '-f', '/dev/null', ...args], { env })
    if (done.code !== 0) throw new Error(`tmux ${args[0]}: ${done.stderr}`)
    return done.stdout
  }
  await tmux('new-session', '-d', '-x', '180', '-y', '60', 'sh', '-c', STAY, 'sh', ...command)
  const screen = async () =>
    (await tmux('capture-pane', '-p', '-J', '-S', '-')).replaceAll(/[ \t]+$/gm, '').trimEnd()
  return {
    screen,
    async type(...keys) {
      // A semicolon at the end of a word would end tmux's own command.
      await tmux('send-keys', ...keys.map((key) => key.replace(/;$/, '\\;')))
    },
    async shows(pattern, msMax) {
      return eventually(
        `the screen to show ${pattern}`,
        async () => {
          const shown = await screen()
          if (!pattern.test(shown)) throw new Error(`the screen shows:\n${shown}`)
          return shown
        },
        msMax,
      )
    },
    async close() {
      await tmux('kill-server')
    },
  }
}

/** The parts of a DSN as libpq's environment variables, so that no secret stands on a command line. */
export function libpqEnvironment(dsn: string): Record<string, string> {
  const url = new URL(dsn)
  return {
    PGHOST: url.hostname,
    PGPORT: url.port,
    PGUSER: decodeURIComponent(url.username),
    PGPASSWORD: decodeURIComponent(url.password),
    PGDATABASE: decodeURIComponent(url.pathname.slice(1)),
  }
}
