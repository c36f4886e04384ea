/**
 * Writes `dist/`: `sluice.mjs`, one bundle per worker beside it, and the files they read at run time.
 * Packages stay outside: they are installed with Sluice, and two of them bring WebAssembly that finds itself by path.
 * Promise: whatever source names relative to itself (`new URL('./x', import.meta.url)`) is found from `dist/` too,
 * or the build fails.
 */
import { cp, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Plugin, build as bundle } from 'esbuild'
import { DIST, ENTRY, ROOT } from './dist.ts'

const SOURCE = join(ROOT, 'src')
const WORKER = /-worker\.ts$/
/** `new URL('<relative path>', import.meta.url)`, in either kind of quotes. */
const RELATIVE_URL = /new URL\(\s*(['"`])(\.{1,2}\/[^'"`$]*)\1\s*,\s*import\.meta\.url\s*,?\s*\)/g

async function workers(): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const entry of await readdir(SOURCE, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !WORKER.test(entry.name)) continue
    const path = join(entry.parentPath, entry.name)
    const name = basename(entry.name, '.ts')
    const other = found.get(name)
    if (other !== undefined)
      throw new Error(`Two workers would become dist/${name}.mjs: ${other} and ${path}`)
    found.set(name, path)
  }
  return found
}

/**
 * Rewrites what a source file names relative to itself to where it is when the code runs from `dist/`. Workers become
 * bundles beside `sluice.mjs`; files in `src/` are copied to `dist/files/`; files of the package elsewhere (`schema/`)
 * stay where they are. `assets` collects the copies to make.
 */
function fromDist(assets: Map<string, string>): Plugin {
  return {
    name: 'paths as seen from dist',
    setup(setup) {
      setup.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        if (!path.startsWith(SOURCE + sep)) return undefined
        const text = await readFile(path, 'utf8')
        const contents = text.replace(RELATIVE_URL, (_whole, _quote, reference: string) => {
          const target = resolve(dirname(path), reference)
          if (!existsSync(target)) {
            throw new Error(`${relative(ROOT, path)} refers to ${reference}, which does not exist`)
          }
          return `new URL(${JSON.stringify(seenFromDist(target, assets))}, import.meta.url)`
        })
        return { contents, loader: 'ts' }
      })
    },
  }
}

function seenFromDist(target: string, assets: Map<string, string>): string {
  if (!target.startsWith(SOURCE + sep)) return `../${relative(ROOT, target).split(sep).join('/')}`
  if (WORKER.test(target)) return `./${basename(target, '.ts')}.mjs`
  if (extname(target) === '.ts') throw new Error(`Only a worker may be named by URL, and ${target} is none`)
  const copy = `files/${relative(SOURCE, target).split(sep).join('/')}`
  assets.set(target, copy)
  return `./${copy}`
}

/** Builds from scratch into a folder beside `dist/` and then swaps: an interrupted build leaves the old one. */
export async function build(): Promise<void> {
  const next = `${DIST}.${process.pid}`
  const assets = new Map<string, string>()
  await bundle({
    entryPoints: { sluice: join(SOURCE, 'cli', 'main.ts'), ...Object.fromEntries(await workers()) },
    outdir: next,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    chunkNames: 'part-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node22.19',
    packages: 'external',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'silent',
    plugins: [fromDist(assets)],
  })
  for (const [from, to] of assets) {
    await mkdir(dirname(join(next, to)), { recursive: true })
    await cp(from, join(next, to), { recursive: true })
  }
  await rm(DIST, { recursive: true, force: true })
  await rename(next, DIST)
}

/** Builds, and says why if that fails. */
export async function built(): Promise<boolean> {
  try {
    await build()
    return true
  } catch (error) {
    process.stderr.write(`The build failed: ${error instanceof Error ? error.message : String(error)}\n`)
    return false
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const started = performance.now()
  if (await built()) {
    const took = ((performance.now() - started) / 1000).toFixed(1)
    process.stdout.write(`Built ${relative(ROOT, ENTRY)} in ${took} s\n`)
  } else process.exitCode = 1
}
