/** Holds the source against the rules of ARCHITECTURE.md, and the rules against planted violations. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { matchesGlob } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import config from '../vitest.config.ts'
import { layersAsMarkdown } from './architecture/layers.ts'
import {
  brokenLayers,
  casts,
  circles,
  impurities,
  longFiles,
  protocolNames,
  strangers,
  unfinished,
} from './architecture/rules.ts'
import { type Source, parse, readFiles } from './architecture/source.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

const files = readFiles(ROOT, ['src', 'test', 'tools', 'bench', 'bin'], ['.ts', '.cjs'])
const everything: readonly Source[] = [...files].map(([path, text]) => parse(path, text))
const sources = everything.filter(({ path }) => path.startsWith('src/'))

function planted(entries: Record<string, string>): readonly Source[] {
  return Object.entries(entries).map(([path, text]) => parse(path, text))
}

describe('who may import whom', () => {
  it('is kept by every file of src', () => {
    expect(sources.length).toBeGreaterThan(20)
    expect(brokenLayers(sources)).toEqual([])
  })

  it('is shown in ARCHITECTURE.md as it is checked', () => {
    expect(readFileSync(`${ROOT}/ARCHITECTURE.md`, 'utf8')).toContain(layersAsMarkdown())
  })

  it.each([
    ['a plain import', 'src/core/a.ts', "import { x } from '../policy/b.ts'"],
    ['a type', 'src/wire/http/a.ts', "import type { X } from '../postgres/b.ts'"],
    ['an import for its effect', 'src/policy/a.ts', "import '../sql/b.ts'"],
    ['a re-export', 'src/sql/a.ts', "export * from '../store/b.ts'"],
    ['a named re-export', 'src/net/a.ts', "export { x } from '../wire/bytes/b.ts'"],
    ['a dynamic import', 'src/api/a.ts', "await import('../protocols/http/b.ts')"],
    ['an import type', 'src/masking/a.ts', "let a: import('../sql/b.ts').A"],
    ['a worker', 'src/recording/a.ts', "new Worker(new URL('../store/b-worker.ts', import.meta.url))"],
    ['require', 'src/identity/a.ts', "require('../store/b.ts')"],
    ['another protocol', 'src/protocols/http/a.ts', "import { x } from '../postgres/b.ts'"],
    ['past the door of session', 'src/protocols/http/a.ts', "import { x } from '../../session/pipeline.ts'"],
    ['the composition root', 'src/api/a.ts', "import { x } from '../main.ts'"],
    ['test helpers', 'src/net/a.ts', "import { x } from '../testing/b.ts'"],
    ['out of src', 'src/net/a.ts', "import { x } from '../../test/b.ts'"],
    ['a folder nobody listed', 'src/utils/a.ts', ''],
    ['a computed import', 'src/net/a.ts', 'await import(name)'],
  ])('finds %s that breaks it', (_what, path, text) => {
    const found = brokenLayers(planted({ [path]: text }))
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(path)
    const quoted = /'(\.\.[^']*)'/.exec(text)?.[1]
    if (quoted !== undefined) expect(found[0]).toContain(quoted)
  })

  it('is not fooled by comments, strings and patterns', () => {
    const text = [
      "// import '../store/a.ts'",
      "/* import '../store/a.ts' */",
      'const text = "import \'../store/a.ts\'"',
      "const pattern = /import '..\\/store\\/a.ts'/",
      "const template = `import '../store/a.ts'`",
    ].join('\n')
    expect(brokenLayers(planted({ 'src/core/a.ts': text }))).toEqual([])
  })

  it('lets in what the table lists', () => {
    const allowed = planted({
      'src/wire/http/a.ts': "import '../bytes/a.ts'; import '../../core/index.ts'; import './b.ts'",
      'src/protocols/http/a.ts': "import '../../session/index.ts'; import '../../wire/http/a.ts'",
      'src/cli/a.ts': "import '../api/client.ts'",
      'src/net/a.test.ts': "import '../testing/b.ts'",
    })
    expect(brokenLayers(allowed)).toEqual([])
  })
})

describe('files that import one another', () => {
  it('are nowhere', () => {
    expect(everything.length).toBeGreaterThan(sources.length)
    expect(circles(everything)).toEqual([])
  })

  it.each([
    ['two', { a: 'b', b: 'a' }, 'a b'],
    ['two behind one that is in no circle', { a: 'b', b: 'c', c: 'b' }, 'b c'],
    ['three', { a: 'b', b: 'c', c: 'a' }, 'a b c'],
    ['one with itself', { a: 'a' }, 'a'],
    ['two circles that share a file', { a: 'b', b: 'a c', c: 'b' }, 'a b c'],
    ['with a way out before the way back', { a: 'x b', b: 'x a', x: '' }, 'a b'],
  ])('are seen: %s', (_what, graph: Record<string, string>, circle) => {
    const entries = Object.entries(graph).map(([name, imports]) => [
      `bench/${name}.ts`,
      imports
        .split(' ')
        .map((each) => (each === '' ? '' : `import type { X } from './${each}.ts'`))
        .join('\n'),
    ])
    const files = circle.split(' ').map((each) => `bench/${each}.ts`)
    expect(circles(planted(Object.fromEntries(entries)))).toEqual([
      `these import one another: ${files.join(', ')}`,
    ])
  })

  it('are not seen where two ways lead to one file', () => {
    const diamond = { 'src/a.ts': "import './b.ts'; import './c.ts'", 'src/b.ts': "import './d.ts'" }
    expect(circles(planted({ ...diamond, 'src/c.ts': "import './d.ts'", 'src/d.ts': '' }))).toEqual([])
  })
})

describe('the pure folders', () => {
  it('have no way out of the process', () => {
    expect(impurities(sources)).toEqual([])
  })

  it.each([
    ['a socket', "import { connect } from 'node:net'"],
    ['the disk', "import { readFileSync } from 'node:fs'"],
    ['an HTTP client', "import { request } from 'undici'"],
    ['the environment', 'const home = process.env.HOME'],
    ['a timer', 'setTimeout(run, 5)'],
    ['fetch', "await fetch('https://example.com')"],
  ])('are seen using %s', (_what, text) => {
    expect(impurities(planted({ 'src/policy/a.ts': text }), [])).toHaveLength(1)
    expect(impurities(planted({ 'src/net/a.ts': text }), [])).toEqual([])
  })

  it('keep no exception that is not needed', () => {
    const exception = { path: 'src/sql/a.ts', what: 'node:fs', why: 'a test' }
    expect(impurities([], [exception])).toHaveLength(1)
    expect(impurities(planted({ 'src/sql/a.ts': "import 'node:fs'" }), [exception])).toEqual([])
  })
})

describe('types', () => {
  it('are not talked out of what they know', () => {
    expect(casts(sources)).toEqual([])
  })

  it('are seen being talked out of it', () => {
    const text =
      'const a = b as C\nconst d = e!\nlet f: any\nconst g = [1] as const\nimport { h as i } from "j"'
    expect(casts(planted({ 'src/net/a.ts': text }))).toEqual([
      'src/net/a.ts:1 says `as C`',
      'src/net/a.ts:2 says `!`',
      'src/net/a.ts:3 says `any`',
    ])
  })
})

describe('the pipeline', () => {
  it('names no protocol', () => {
    expect(protocolNames(files)).toEqual([])
  })

  it.each(['// as Postgres does', 'const httpStatus = 1', 'type MCPTool = 1', "'ssh'", 'MySQL'])(
    'is seen naming one: %s',
    (line) => {
      expect(protocolNames(new Map([['src/session/a.ts', `\n${line}`]]))).toHaveLength(1)
      expect(protocolNames(new Map([['src/net/a.ts', line]]))).toEqual([])
    },
  )

  it('may use words that only contain such a name', () => {
    expect(
      protocolNames(new Map([['src/session/a.ts', 'const sessionHash = classHash + pageCount']])),
    ).toEqual([])
  })
})

describe('files', () => {
  it('are short, or say why not', () => {
    expect(longFiles(files)).toEqual([])
    const long = 'x\n'.repeat(601)
    expect(longFiles(new Map([['src/a.ts', long]]))).toHaveLength(1)
    expect(longFiles(new Map([['src/a.ts', `// Over 600 lines because it is a table.\n${long}`]]))).toEqual(
      [],
    )
  })

  it('are finished: every test runs', () => {
    expect(unfinished(files)).toEqual([])
    const skipped = ['it', '.skip("a", b)'].join('')
    expect(unfinished(new Map([['src/a.test.ts', skipped]]))).toHaveLength(1)
  })

  it('of tests belong to exactly one project', () => {
    const projects = (config.test?.projects ?? []).map((project) => {
      if (typeof project !== 'object' || !('test' in project))
        throw new Error('a project without its own settings')
      return project.test
    })
    const tests = [...files.keys()].filter((path) => path.endsWith('.test.ts'))
    const homes = tests.map((path) => ({
      path,
      in: projects
        .filter((each) => each?.include?.some((glob) => matchesGlob(path, glob)))
        .filter((each) => !each?.exclude?.some((glob) => matchesGlob(path, glob)))
        .map((each) => each?.name),
    }))
    expect(homes.filter((home) => home.in.length !== 1)).toEqual([])
  })

  it('of tests say by their names what they need: disks, sockets, threads and processes', () => {
    const misnamed = (texts: ReadonlyMap<string, string>): string[] =>
      [...texts]
        .filter(([path]) => path.endsWith('.test.ts') && !/\.live\.|^test\/journeys\//.test(path))
        .filter(([path, text]) => needsSystem(text) !== path.endsWith('.integration.test.ts'))
        .map(([path]) => path)
    // This file asks git what is tracked, and belongs to what everybody runs before each commit.
    expect(misnamed(files)).toEqual(['test/architecture.test.ts'])
    const socket = "import { connect } from 'node:net'"
    expect(misnamed(new Map([['src/a.test.ts', socket]]))).toHaveLength(1)
    expect(misnamed(new Map([['src/a.integration.test.ts', socket]]))).toEqual([])
    expect(misnamed(new Map([['src/a.integration.test.ts', "import { x } from './x.ts'"]]))).toHaveLength(1)
  })

  it('hold no path of a machine and no address of a private registry', () => {
    const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' }).split('\0')
    const texts = new Map<string, string>()
    for (const path of tracked.filter(Boolean)) {
      const bytes = readOrNothing(`${ROOT}/${path}`)
      if (bytes !== undefined && !bytes.includes(0)) texts.set(path, bytes.toString('utf8'))
    }
    expect(texts.size).toBeGreaterThan(20)
    expect(strangers(texts, forbiddenTexts())).toEqual([])
    expect(texts.get('package-lock.json')).not.toMatch(/"resolved": "https?:/)
    expect(strangers(new Map([['a.md', 'see /x/y/z']]), ['/x/y'])).toHaveLength(1)
  })
})

/** Whether a test makes files, sockets, threads or processes of its own, or runs a gateway that does. */
function needsSystem(text: string): boolean {
  return /mkdtemp|from 'node:(?:net|tls|http|https|worker_threads|child_process)'|running-gateway|bucket-stage|slack-server|vault-server|new Worker/.test(
    text,
  )
}

/** This checkout's own path and this machine's registry, so that neither stands in a file, this one included. */
function forbiddenTexts(): string[] {
  const registry = process.env['npm_config_registry']
  const host = registry === undefined ? undefined : new URL(registry).host
  return [`${ROOT}/`, ...(host === undefined || host === 'registry.npmjs.org' ? [] : [host])]
}

/** A tracked file may have been deleted and not committed yet. */
function readOrNothing(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
