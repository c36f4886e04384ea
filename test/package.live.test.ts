/** What is published, installed as npm would: only the files of the package, only what it depends on at run time. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { build } from '../tools/build.ts'
import { distIsCurrent } from '../tools/dist.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

const folder = mkdtempSync(join(tmpdir(), 'sluice-package-'))
let installed: string

function sluice(...args: string[]): string {
  return execFileSync(process.execPath, [join(installed, 'bin', 'sluice.cjs'), ...args], {
    cwd: folder,
    env: { PATH: '/usr/bin:/bin', HOME: folder },
    encoding: 'utf8',
  })
}

beforeAll(async () => {
  // `npm test` has built already; building again would pull the files away from under other tests.
  if (!distIsCurrent()) await build()
  execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: ROOT })
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  execFileSync('tar', ['xzf', archive ?? 'no archive'], { cwd: folder })
  const modules = join(folder, 'node_modules')
  installed = join(modules, 'sluice-gateway')
  mkdirSync(modules)
  execFileSync('mv', [join(folder, 'package'), installed])
  const lock: { packages: Record<string, { dev?: boolean; optional?: boolean }> } = JSON.parse(
    readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
  )
  const present = new Set(readdirSync(join(ROOT, 'node_modules')))
  for (const [path, { dev }] of Object.entries(lock.packages)) {
    const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path)?.[1]
    if (name === undefined || dev === true || !present.has(name.split('/')[0] ?? '')) continue
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  }
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('holds nothing but what it runs', () => {
  expect(readdirSync(installed).toSorted()).toEqual(
    expect.arrayContaining(['LICENSE', 'README.md', 'bin', 'dist', 'package.json']),
  )
  expect(readdirSync(installed)).not.toContain('src')
  expect(readdirSync(join(installed, 'bin')).toSorted()).toEqual(['node.cjs', 'sluice.cjs'])
})

it('has a bundle for every worker', () => {
  const workers = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('-worker.ts'))
    .map((path) => path.replace(/^.*\//, '').replace(/\.ts$/, '.mjs'))
  expect(workers.length).toBeGreaterThan(0)
  expect(readdirSync(join(installed, 'dist'))).toEqual(expect.arrayContaining(workers))
})

it('runs', () => {
  expect(sluice('--help')).toMatch(/sluice/)
  expect(sluice('--version').trim()).toBe(
    (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version,
  )
})
