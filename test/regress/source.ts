/** Gets PostgreSQL's own regression suite from Debian's source package and builds the one library that it needs. */
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Finished } from '../support/process.ts'
import { run } from '../support/process.ts'

export type Suite = {
  /** `src/test/regress` of the source: `sql/`, `expected/`, `data/`, `parallel_schedule`. */
  readonly directory: string
  /** Holds regress.so and what else the tests load into the server. */
  readonly libraries: string
  readonly version: string
}

/** Readable by the server's Unix user, which is not ours when we are root; and kept, because fetching takes time. */
const CACHE = `/var/tmp/sluice-regress-${process.getuid?.() ?? 0}`

const SERVER_LIBRARIES = '/usr/lib/postgresql/15/lib'

/**
 * The suite of exactly the installed version. The first call takes half a minute: 24 MB from Debian's archive, then
 * `configure` for the headers and one C file. Needs apt-get, gcc and make, but neither root nor development packages.
 */
export async function prepareSuite(say: (line: string) => void): Promise<Suite> {
  const version = (await must('dpkg-query', ['-W', '-f', '${Version}', 'postgresql-15'])).stdout.trim()
  const home = join(CACHE, version)
  if (!existsSync(home)) {
    await mkdir(CACHE, { recursive: true, mode: 0o755 })
    const fresh = await mkdtemp(join(CACHE, 'fetching-'))
    await chmod(fresh, 0o755)
    try {
      say(`Fetching the source of postgresql-15 ${version} ...`)
      await fetchSource(fresh, version)
      say('Building regress.so ...')
      await build(fresh)
      await rename(fresh, home)
    } finally {
      await rm(fresh, { recursive: true, force: true })
    }
  }
  return { directory: join(home, 'source/src/test/regress'), libraries: join(home, 'libraries'), version }
}

/** apt-get with lists and caches of our own: the machine's are left as they are, and no root is needed. */
async function fetchSource(place: string, version: string): Promise<void> {
  const lists = join(place, 'lists')
  await mkdir(join(lists, 'partial'), { recursive: true })
  const sources = join(place, 'sources.list')
  await writeFile(sources, await sourceLines())
  const apt = (args: readonly string[]) =>
    must(
      'apt-get',
      [
        ['-o', `Dir::Etc::SourceList=${sources}`, '-o', 'Dir::Etc::SourceParts=/dev/null'],
        ['-o', `Dir::State::Lists=${lists}`, '-o', `Dir::Cache=${place}`, '-o', 'APT::Sandbox::User='],
        ['-q', ...args],
      ].flat(),
      place,
    )
  await apt(['update'])
  await apt(['source', '--download-only', `postgresql-15=${version}`])
  const archive = (await readdir(place)).find((name) => /^postgresql-15_.*\.orig\.tar\.\w+$/.test(name))
  if (archive === undefined) throw new Error('the source package holds no upstream archive')
  await mkdir(join(place, 'source'))
  await must('tar', ['-xf', archive, '-C', 'source', '--strip-components=1', '--no-same-owner'], place)
  await rm(lists, { recursive: true })
  await rm(join(place, archive))
}

/** The archives this machine takes its Debian packages from, asked for sources instead. */
async function sourceLines(): Promise<string> {
  const lines: string[] = []
  const folder = '/etc/apt/sources.list.d'
  const files = ['/etc/apt/sources.list', ...(await readdir(folder)).map((name) => join(folder, name))]
  for (const file of files.filter((each) => existsSync(each))) {
    const text = await readFile(file, 'utf8')
    if (file.endsWith('.sources')) {
      for (const block of text.split(/\n\s*\n/)) {
        const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'im').exec(block)?.[1]?.trim() ?? ''
        const key = field('Signed-By')
        const options = key === '' ? '' : `[signed-by=${key}] `
        for (const uri of field('URIs').split(/\s+/)) {
          for (const suite of field('Suites').split(/\s+/)) {
            if (isDebian(uri)) lines.push(`deb-src ${options}${uri} ${suite} main`)
          }
        }
      }
    } else {
      for (const line of text.split('\n')) {
        const [, options = '', uri = '', suite = ''] =
          /^deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s/.exec(`${line} `) ?? []
        if (isDebian(uri)) lines.push(`deb-src ${options}${uri} ${suite} main`)
      }
    }
  }
  if (lines.length === 0) throw new Error("no archive of Debian's is configured on this machine")
  return `${lines.join('\n')}\n`
}

function isDebian(uri: string): boolean {
  return /\/debian(-security)?\/?$/.test(uri)
}

/** Only what the tests load: regress.so from one C file. The rest of PostgreSQL is the installed one. */
async function build(place: string): Promise<void> {
  const source = join(place, 'source')
  const libraries = join(place, 'libraries')
  await mkdir(libraries)
  await must('./configure', ['--without-readline', '--without-zlib', '--without-icu'], source)
  await must('make', ['-C', 'src/backend', 'generated-headers'], source)
  const flags = ['-fPIC', '-shared', '-fwrapv', '-fno-strict-aliasing', '-D_GNU_SOURCE', '-Isrc/include']
  await must('gcc', [...flags, '-o', join(libraries, 'regress.so'), 'src/test/regress/regress.c'], source)
  for (const name of ['autoinc.so', 'refint.so'])
    await symlink(join(SERVER_LIBRARIES, name), join(libraries, name))
}

async function must(command: string, args: readonly string[], cwd?: string): Promise<Finished> {
  const done = await run(command, args, { ...(cwd === undefined ? {} : { cwd }), msMax: 600_000 })
  if (done.code !== 0) {
    throw new Error(
      `${command} ${args[0] ?? ''} failed (${done.code}): ${(done.stdout + done.stderr).trim().slice(-2000)}`,
    )
  }
  return done
}
