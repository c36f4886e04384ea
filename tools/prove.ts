/**
 * `npm run prove`: every proof with its full counts. Writes `docs/proofs/<name>.json` for each: what was counted, from
 * which seed, on which commit. `npm run prove -- --list` names them; `npm run prove -- NAME ... --seed N` runs some.
 *
 * A proof is a test file that imports `test/support/proof.ts`, or a program in PROGRAMS whose last line is a JSON
 * object with its counts.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from './dist.ts'
import { runStep } from './steps.ts'
import { ensureSystemPackages } from './system.ts'
import { runTests } from './test-run.ts'

type Counts = Record<string, number>
/** What the counts do not say, one list for each name. */
type Notes = Record<string, string[]>
type Result = { readonly ok: boolean; readonly counts: Counts; readonly notes?: Notes }
type Proof = { readonly name: string; readonly run: (seed: number) => Promise<Result> }

const PROOFS = join(ROOT, 'docs', 'proofs')
/** Full counts take as long as they take; this only ends what hangs. */
const TIMEOUT_MS = 6 * 60 * 60 * 1000

const PROGRAMS: readonly { readonly name: string; readonly command: readonly [string, ...string[]] }[] = [
  { name: 'regress', command: ['node', 'test/regress/run.ts', '--json'] },
  { name: 'facts', command: ['node', 'test/regress/facts.ts', '--json'] },
]

function testFiles(): string[] {
  return ['src', 'test'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name))),
  )
}

/** `src/wire/postgres/fuzz.test.ts` becomes `wire-postgres-fuzz`, `test/prove/leaks.live.test.ts` becomes `leaks`. */
function nameOf(file: string): string {
  return file
    .replace(/^(src|test)[\\/](prove[\\/])?/, '')
    .replace(/(\.live)?\.test\.ts$/, '')
    .replaceAll(/[\\/]/g, '-')
}

function fromTestFile(file: string): Proof {
  return {
    name: nameOf(file),
    run: async (seed) => {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-proof-'))
      const tallies = join(folder, 'counts')
      writeFileSync(tallies, '')
      try {
        const ran = await runTests([file, `--testTimeout=${TIMEOUT_MS}`, `--hookTimeout=${TIMEOUT_MS}`], {
          SLUICE_PROVE: '1',
          SLUICE_SEED: String(seed),
          SLUICE_PROOF_FILE: tallies,
        })
        const counts: Counts = { tests: ran.passed }
        const notes: Notes = {}
        for (const line of readFileSync(tallies, 'utf8').split('\n').filter(Boolean))
          addTo(counts, notes, JSON.parse(line))
        return { ok: ran.failed === 0 && ran.passed > 0, counts, notes }
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
  }
}

function addTo(counts: Counts, notes: Notes, line: unknown): void {
  if (typeof line !== 'object' || line === null || !('name' in line) || typeof line.name !== 'string') return
  const { name } = line
  if ('count' in line && typeof line.count === 'number') counts[name] = (counts[name] ?? 0) + line.count
  if ('text' in line && typeof line.text === 'string') notes[name] = [...(notes[name] ?? []), line.text]
}

function fromProgram({ name, command }: (typeof PROGRAMS)[number]): Proof {
  return {
    name,
    run: async (seed) => {
      const outcome = await runStep({ name, command, env: { SLUICE_PROVE: '1', SLUICE_SEED: String(seed) } })
      process.stdout.write(`${outcome.output}\n`)
      const counts: Counts = {}
      const last: unknown = outcome.ok ? JSON.parse(outcome.output.split('\n').at(-1) ?? '{}') : {}
      if (typeof last === 'object' && last !== null) {
        for (const [key, value] of Object.entries(last)) if (typeof value === 'number') counts[key] = value
      }
      return { ok: outcome.ok, counts }
    },
  }
}

function allProofs(): Proof[] {
  const files = testFiles().filter((file) =>
    /from '[./]+\/(?:test\/)?support\/proof\.ts'/.test(readFileSync(join(ROOT, file), 'utf8')),
  )
  return [...files.toSorted().map(fromTestFile), ...PROGRAMS.map(fromProgram)]
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim()
}

/** The commit that was proved. What is not committed is said, because nobody else can repeat it. */
function commit(): string {
  const changed = git('status', '--porcelain', '--', '.', ':(exclude)docs/proofs')
  return git('rev-parse', 'HEAD') + (changed === '' ? '' : ' with uncommitted changes')
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { list: { type: 'boolean', default: false }, seed: { type: 'string' } },
})
const proofs = allProofs()
const unknown = positionals.filter((name) => !proofs.some((proof) => proof.name === name))
const seed = values.seed === undefined ? Math.floor(Math.random() * 0x7fffffff) : Number(values.seed)

if (values.list) {
  process.stdout.write(proofs.map((proof) => `${proof.name}\n`).join(''))
} else if (unknown.length > 0 || !Number.isSafeInteger(seed)) {
  process.stderr.write(
    unknown.length > 0
      ? `No such proof: ${unknown.join(', ')}. There are: ${proofs.map((proof) => proof.name).join(', ')}\n`
      : '--seed takes a whole number\n',
  )
  process.exitCode = 64
} else if (!ensureSystemPackages()) {
  process.exitCode = 1
} else {
  mkdirSync(PROOFS, { recursive: true })
  const failed: string[] = []
  for (const proof of proofs) {
    if (positionals.length > 0 && !positionals.includes(proof.name)) continue
    process.stdout.write(`\n== ${proof.name}, seed ${seed}\n`)
    const date = new Date()
    const { ok, counts, notes = {} } = await proof.run(seed)
    const durationMs = Date.now() - date.getTime()
    const record = {
      name: proof.name,
      ok,
      commit: commit(),
      seed,
      counts,
      ...(Object.keys(notes).length === 0 ? {} : { notes }),
      durationMs,
      date: date.toISOString(),
    }
    writeFileSync(join(PROOFS, `${proof.name}.json`), `${JSON.stringify(record, null, 2)}\n`)
    if (!ok) failed.push(proof.name)
  }
  process.stdout.write(
    failed.length === 0 ? '\nprove: all proofs hold\n' : `\nprove: FAILED: ${failed.join(', ')}\n`,
  )
  process.exitCode = failed.length === 0 ? 0 : 1
}
