import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { GatewayError } from '../../core/index.ts'

const login = z.object({
  gateway: z.object({ url: z.string(), authority: z.string().optional() }),
  issuer: z.object({
    url: z.string(),
    audience: z.string(),
    client: z.string(),
    scopes: z.array(z.string()),
    audienceAs: z.enum(['resource', 'audience', 'none']),
  }),
  accessToken: z.string(),
  /** Milliseconds since 1970. */
  expiresAt: z.number(),
  refreshToken: z.string().optional(),
})

/** A login as it is kept: where it is good, who gave it, and the tokens. */
export type Login = z.output<typeof login>

/** Another command that renews the login is done sooner; a lock that is older was left by one that was killed. */
const LOCK_MS = 30_000
const LOCK_LOOK_MS = 50

/** https://specifications.freedesktop.org/basedir-spec: a relative path counts as none. */
function directory(): string {
  const configured = process.env.XDG_CONFIG_HOME
  const base = configured?.startsWith('/') === true ? configured : join(homedir(), '.config')
  return join(base, 'sluice')
}

/** Where the login of this user is kept: for its owner alone. */
export function loginFile(): string {
  return join(directory(), 'login.json')
}

/** Undefined: nobody has logged in. Throws `invalid` for a file that others may read, or that is not one of ours. */
export function readLogin(): Login | undefined {
  const path = loginFile()
  const handle = openIfThere(path)
  if (handle === undefined) return undefined
  try {
    const { mode } = fstatSync(handle)
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new GatewayError('invalid', `${path} holds a login, and others may read it.`, {
        remedy: `Make it private (chmod 600 ${path}), or log in anew: sluice login`,
      })
    }
    return parse(readFileSync(handle, 'utf8'), path)
  } finally {
    closeSync(handle)
  }
}

/** On the disk as a whole or not at all; never readable by others, not even for a moment. */
export function writeLogin(kept: Login): void {
  mkdirSync(directory(), { recursive: true, mode: 0o700 })
  const path = loginFile()
  const fresh = `${path}.${process.pid}`
  writeFileSync(fresh, `${JSON.stringify(kept)}\n`, { mode: 0o600 })
  renameSync(fresh, path)
}

export function removeLogin(): void {
  rmSync(loginFile(), { force: true })
}

/**
 * Does something to the login while no other command does. An issuer that sees a refresh token twice takes it for stolen and
 * ends the login: two commands must not both renew it. Throws `conflict` when another does not come to an end.
 */
export async function alone<T>(act: () => Promise<T>): Promise<T> {
  mkdirSync(directory(), { recursive: true, mode: 0o700 })
  const lock = join(directory(), 'login.lock')
  const giveUpAt = Date.now() + LOCK_MS
  while (!taken(lock)) {
    if (Date.now() > giveUpAt) {
      throw new GatewayError('conflict', 'Another command is renewing the login.', {
        remedy: `If none runs, remove ${lock}.`,
        retry: 'later',
      })
    }
    await sleep(LOCK_LOOK_MS)
  }
  try {
    return await act()
  } finally {
    rmSync(lock, { force: true })
  }
}

function taken(lock: string): boolean {
  try {
    closeSync(openSync(lock, 'wx', 0o600))
    return true
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
  const made = statSync(lock, { throwIfNoEntry: false })
  if (made !== undefined && Date.now() - made.mtimeMs > LOCK_MS) rmSync(lock, { force: true })
  return false
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function parse(text: string, path: string): Login {
  try {
    return login.parse(JSON.parse(text))
  } catch {
    // Without its cause, which may quote the tokens.
    throw new GatewayError('invalid', `${path} is no login of this program.`, {
      remedy: 'Log in anew: sluice login',
    })
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
