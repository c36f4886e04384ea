/**
 * Data directories as `initdb` makes them, by copying: it makes the same each time, and takes longer than all the rest of
 * a start. The first test that needs one has it made and keeps it beside the packages.
 */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startPostgres } from '../../src/sample/index.ts'
import { ROOT } from '../../tools/dist.ts'

const run = promisify(execFile)
const CACHE = join(ROOT, 'node_modules', '.cache', 'clusters')

/** What is in a data directory of the sample before its first start: the cluster, and the word that it is complete. */
const PARTS = ['cluster', 'complete'] as const

/** Makes a data directory that `startPostgres` takes for one it has made itself. */
export async function copyCluster(binDirectory: string, dataDirectory: string): Promise<void> {
  const template = await templateFor(binDirectory)
  await mkdir(dataDirectory, { mode: 0o700 })
  await copy(template, dataDirectory)
}

async function templateFor(binDirectory: string): Promise<string> {
  const { stdout: version } = await run(join(binDirectory, 'postgres'), ['--version'])
  // How it is made is part of its name, so that a change of that is not missed here.
  const how = await readFile(join(ROOT, 'src', 'sample', 'server.ts'))
  const name = createHash('sha256').update(`${binDirectory}\n${version}`).update(how).digest('hex')
  const template = join(CACHE, name.slice(0, 16))
  if (!existsSync(template)) await makeTemplate(binDirectory, template)
  return template
}

/** Whole or not at all, however many make it at once. */
async function makeTemplate(binDirectory: string, template: string): Promise<void> {
  const place = await mkdtemp(join(tmpdir(), 'sluice-cluster-'))
  await mkdir(CACHE, { recursive: true })
  const fresh = await mkdtemp(join(CACHE, 'making-'))
  try {
    await chmod(place, 0o755)
    const password = randomBytes(18).toString('hex')
    const server = await startPostgres({ binDirectory, dataDirectory: join(place, 'data'), password })
    await server.stop()
    await copy(server.dataDirectory, fresh)
    await rename(fresh, template).catch((error: unknown) => {
      if (!existsSync(template)) throw error
    })
  } finally {
    await rm(place, { recursive: true, force: true })
    await rm(fresh, { recursive: true, force: true })
  }
}

/** With owners and modes, which the server insists on. */
async function copy(from: string, to: string): Promise<void> {
  await run('cp', ['-a', '--reflink=auto', ...PARTS.map((part) => join(from, part)), to])
}
