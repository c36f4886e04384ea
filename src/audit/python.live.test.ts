/** The second verifier, in Python and written from `docs/formats/` alone, held against ours: each vector, the same place. */
import { execFile, execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { filesSource } from '../testing/files-source.ts'
import {
  fileOf,
  type Files,
  LOG_KEY,
  NEXT_LOG_KEY,
  STRANGER_KEY,
  vkeyOf,
  WITNESSES,
} from '../testing/recorded-log.ts'
import { testKeys } from '../testing/recording-keys.ts'
import type { Given } from '../testing/tampering.ts'
import { rotatedEvidence } from '../testing/rotated-evidence.ts'
import { erasedEvidence } from '../testing/tampered-removals.ts'
import { tamperedEvidence } from '../testing/tampered-json.ts'
import { tamperingCorpus } from '../testing/tampering-corpus.ts'
import {
  directoryAuditSource,
  formatEvidence,
  journalFrames,
  nodePrimitives,
  payloadOpener,
  payloadReader,
  proveFrames,
  verifyRecording,
} from './index.ts'
import { formatVerifierKey, nodeSha256, parseVerifierKey } from '../evidence/index.ts'

const run = promisify(execFile)
const VERIFIER = join(import.meta.dirname, '../../examples/verify/verify.py')
const KEYS = { first: LOG_KEY, next: NEXT_LOG_KEY, stranger: STRANGER_KEY }
/** That of `testKeys`. */
const MASTER_KEY = Buffer.from(Array.from({ length: 32 }, (_, index) => index)).toString('base64')
const place = mkdtempSync(join(tmpdir(), 'sluice-python-'))
afterAll(() => rmSync(place, { recursive: true, force: true }))

const { sample, vectors } = await tamperingCorpus()

type Answer = {
  readonly code: number
  readonly proved: boolean
  readonly failures: readonly object[]
  readonly ignored?: readonly string[]
}

async function python(args: readonly string[]): Promise<Answer> {
  // That of Debian, and not whichever another tool has put in front of it.
  const done = await run('/usr/bin/python3', [VERIFIER, ...args, '--json'], { maxBuffer: 1e8 }).catch(
    (error: { readonly code: number; readonly stdout: string; readonly stderr: string }) => error,
  )
  if (done.stdout === '') throw new Error(done.stderr)
  return { code: 'code' in done ? done.code : 0, ...(JSON.parse(done.stdout) as Omit<Answer, 'code'>) }
}

let count = 0
function written(files: Files): string {
  const root = join(place, String(count++))
  mkdirSync(root)
  for (const [path, bytes] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), bytes)
  }
  return root
}

function flagsOf({ keys = ['first'], witnesses, witnessesNeeded, since, payloads }: Given): string[] {
  const flags = keys.flatMap((each) => ['--key', vkeyOf(KEYS[each])])
  if (witnesses === true) flags.push(...WITNESSES.flatMap((each) => ['--witness', vkeyOf(each)]))
  if (witnessesNeeded !== undefined) flags.push('--witnesses-needed', String(witnessesNeeded))
  if (since !== undefined) flags.push('--since', fileWith('since', since))
  if (payloads === true) flags.push('--master-key', fileWith('master', Buffer.from(MASTER_KEY)))
  return flags
}

function fileWith(name: string, bytes: Uint8Array | string): string {
  const path = join(place, `${name}-${count++}`)
  writeFileSync(path, bytes)
  return path
}

/** Starting it takes longer than most of what it is asked here: one process for many, each with its own arguments. */
const MANY = `
import contextlib, io, json, sys
import verify
for args in json.load(sys.stdin):
    sys.argv, out = ["verify.py", *args, "--json"], io.StringIO()
    with contextlib.redirect_stdout(out):
        code = verify.main()
    print(json.dumps({"code": code} | json.loads(out.getvalue())))
`
const JOURNALS = `
import json, sys
import verify
masters = verify.read_masters(sys.argv[1])
read = [verify.Journal(verify.Source(root), masters) for root in json.load(sys.stdin)]
print(json.dumps([{"entries": len(each.frames), "broken": each.broken is not None} for each in read]))
`
const AT_ONCE = 30

function pythonOfMany(args: readonly (readonly string[])[]): Answer[] {
  const stdout = execFileSync('/usr/bin/python3', ['-B', '-c', MANY], {
    cwd: dirname(VERIFIER),
    input: JSON.stringify(args),
    maxBuffer: 1e8,
  })
  const lines = stdout.toString().trim().split('\n')
  return lines.map((line): Answer => JSON.parse(line))
}

const answers = new Map<string, Answer>()
beforeAll(() => {
  for (let at = 0; at < vectors.length; at += AT_ONCE) {
    const some = vectors.slice(at, at + AT_ONCE)
    const roots = some.map(({ files }) => written(files))
    const found = pythonOfMany(some.map(({ given }, i) => [roots[i] ?? '', ...flagsOf(given)]))
    for (const [i, { name }] of some.entries()) {
      const answer = found[i]
      if (answer !== undefined) answers.set(name, answer)
    }
    for (const root of roots) rmSync(root, { recursive: true })
  }
}, 300_000)

describe('the verifier in Python (P-06)', () => {
  it.each(vectors.map((each) => [each.name, each] as const))('agrees on: %s', (name, vector) => {
    const { code, proved, failures = [], ignored } = answers.get(name) ?? {}
    expect(failures[0]).toEqual(
      vector.expected === undefined ? undefined : expect.objectContaining(vector.expected),
    )
    expect(proved).toBe(vector.expected === undefined)
    expect(code).toBe(vector.expected === undefined ? 0 : 1)
    if (vector.ignored !== undefined) expect(ignored).toEqual([vector.ignored])
  })

  it('says the same ranges of the same sessions', async () => {
    const answer = await python([written(sample.files), ...flagsOf({ witnesses: true, payloads: true })])
    expect(answer).toMatchObject({
      log: { size: 541, covered: 541, keys: [vkeyOf(LOG_KEY)] },
      through: { sequence: 548 },
      sessions: [
        { session: sample.full, state: 'proved', frames: 21, first: 1, last: 25 },
        { session: sample.short, state: 'proved', frames: 2, first: 2, last: 26 },
        { session: sample.deleted, state: 'deleted', frames: 2, first: 6, last: 7 },
        { session: sample.live, state: 'committed', frames: 1, first: 548, last: 548 },
      ],
      admin: 522,
    })
  })

  it('reads the journal with its key, and says of each damaged one what ours says', async () => {
    const vectors = join(import.meta.dirname, '../recording/vectors/format-2')
    const damaged = readdirSync(join(vectors, 'damaged')).filter((name) => name.endsWith('.slj'))
    expect(damaged.length).toBeGreaterThan(25)
    const master = fileWith('master', MASTER_KEY)
    const roots = damaged.map((name) =>
      written(new Map([['journal/00000001.slj', readFileSync(join(vectors, 'damaged', name))]])),
    )
    const stdout = execFileSync('/usr/bin/python3', ['-B', '-c', JOURNALS, master], {
      cwd: dirname(VERIFIER),
      input: JSON.stringify(roots),
    })
    const answers = JSON.parse(stdout.toString()) as { readonly entries: number; readonly broken: boolean }[]
    for (const [i, name] of damaged.entries()) {
      const path = join(vectors, 'damaged', name.replace('.slj', '.json'))
      const says = JSON.parse(readFileSync(path, 'utf8')) as {
        entries: number
        damaged?: object
        needs?: string
      }
      const broken = says.damaged !== undefined || says.needs !== undefined
      expect(answers[i], name).toEqual({ entries: says.entries, broken })
    }
  })

  it('reads what clients sent to commands that ran, in the journal and in session files', async () => {
    const whole = join(import.meta.dirname, '../recording/vectors/format-2/input/whole')
    const key = readFileSync(join(whole, 'log', 'key'), 'utf8').trim()
    const theirs = await python([whole, '--key', key, '--master-key', fileWith('master', MASTER_KEY)])
    const ours = await verifyRecording({
      source: directoryAuditSource(whole),
      primitives: nodePrimitives,
      keys: [parseVerifierKey(nodeSha256, key)],
      payloads: payloadOpener(testKeys),
      journal: journalFrames(whole, testKeys),
    })
    expect(ours).toMatchObject({ proved: true })
    expect(theirs).toMatchObject({ proved: true, tail: { sessions: 1 } })
    expect(JSON.stringify(theirs)).not.toContain('broken')
  })

  it('takes frames that are in no file from the journal itself, and not from its headers', async () => {
    const whole = join(import.meta.dirname, '../recording/vectors/format-2/whole')
    const files: Files = new Map()
    for (const each of readdirSync(whole, { recursive: true, withFileTypes: true }))
      if (each.isFile()) {
        const path = join(each.parentPath, each.name)
        files.set(path.slice(whole.length + 1), readFileSync(path))
      }
    const key = parseVerifierKey(
      nodeSha256,
      Buffer.from(files.get('log/key') ?? [])
        .toString()
        .trim(),
    )
    const both = async (change: (files: Files) => void) => {
      const changed = new Map(files)
      change(changed)
      const root = written(changed)
      const master = fileWith('master', MASTER_KEY)
      const flags = ['--key', formatVerifierKey(key), '--master-key', master]
      const theirs = await python([root, ...flags])
      const ours = await verifyRecording({
        source: directoryAuditSource(root),
        primitives: nodePrimitives,
        keys: [key],
        payloads: payloadOpener(testKeys),
        journal: journalFrames(root, testKeys),
      })
      expect(theirs.proved).toBe(ours.proved)
      expect(theirs.failures[0]).toEqual(
        ours.failures[0] === undefined
          ? undefined
          : expect.objectContaining({ code: ours.failures[0].code, path: ours.failures[0].path }),
      )
      return { ...theirs, ours }
    }
    const journal = 'journal/00000001.slj'
    expect(await both(() => {})).toMatchObject({ proved: true, tail: { frames: 1, sessions: 1 } })
    // The header still says that it begins with the first frame.
    const gone = await both((all) =>
      all.set(journal, (all.get(journal) ?? new Uint8Array(0)).subarray(0, 100)),
    )
    expect(gone).toMatchObject({ proved: false, failures: [{ code: 'missing' }] })
    const flipped = await both((all) => {
      const bytes = Buffer.from(all.get(journal) ?? [])
      bytes[400] = (bytes[400] ?? 0) ^ 1
      all.set(journal, bytes)
    })
    expect(flipped.proved).toBe(false)
  })

  it('opens regular files only', async () => {
    for (const put of [
      (path: string) => execFileSync('mkfifo', [path]),
      (path: string) => mkdirSync(path),
      (path: string) => symlinkSync(path, path),
    ])
      for (const path of [fileOf(sample.full), 'log/checkpoint', 'log/tile/0/000']) {
        const root = written(sample.files)
        rmSync(join(root, path))
        put(join(root, path))
        expect((await python([root, ...flagsOf({})])).failures[0], path).toMatchObject({
          code: 'damaged',
          path,
        })
      }
  })

  it('follows no link to a folder, and takes no file for one', async () => {
    const day = 'sessions/2026-01-31'
    for (const [path, put] of [
      [day, (at: string, away: string) => symlinkSync(away, at)],
      ['sessions/2026-02-01', (at: string) => writeFileSync(at, 'x')],
      ['log/tile/0/x001', (at: string) => writeFileSync(at, 'x')],
    ] as const) {
      const root = written(sample.files)
      const [at, away] = [join(root, path), join(root, 'away')]
      if (path === day) renameSync(at, away)
      put(at, away)
      const flags = flagsOf({})
      expect((await python([root, ...flags])).failures, path).toEqual([
        expect.objectContaining({ code: 'unknown', path }),
      ])
      const ours = await verifyRecording({
        source: directoryAuditSource(root),
        primitives: nodePrimitives,
        keys: [LOG_KEY.key],
      })
      expect(ours.failures, path).toEqual([expect.objectContaining({ code: 'unknown', path })])
    }
  })

  it('knows a session that is not sealed yet from one that is not there', async () => {
    const root = written(sample.files)
    const flags = flagsOf({})
    expect(await python([root, ...flags, '--session', sample.live])).toMatchObject({ code: 3, failures: [] })
    const other = `${sample.full.slice(0, -1)}0`
    expect(await python([root, ...flags, '--session', other])).toMatchObject({
      code: 1,
      failures: [{ code: 'unknown', session: other }],
    })
  })

  it('comes by the changes of the key in an evidence file to the key that signed it', async () => {
    const { text, keys } = await rotatedEvidence()
    const file = JSON.parse(text) as { keys: Record<string, unknown>[] }
    for (const key of keys) {
      const path = fileWith('rotated', text)
      expect(await python([path, '--key', vkeyOf(key)])).toMatchObject({ code: 0, proved: true })
    }
    const [first, second] = file.keys
    const other = { ...second, entry: JSON.stringify({ kind: 'key', vkey: vkeyOf(STRANGER_KEY) }) }
    for (const chain of [[second], [first], [second, first], [first, other]]) {
      const path = fileWith('broken', JSON.stringify({ ...file, keys: chain }))
      expect(await python([path, '--key', vkeyOf(LOG_KEY)])).toMatchObject({ code: 1, proved: false })
    }
  })

  it('takes an evidence file at its word that something was erased only where the log says so', async () => {
    const { text, changed } = await erasedEvidence()
    const flags = flagsOf({})
    expect(await python([fileWith('erased', text), ...flags])).toMatchObject({ code: 0, proved: true })
    for (const [name, one] of changed)
      expect(await python([fileWith('called', one), ...flags]), name).toMatchObject({
        code: 1,
        proved: false,
      })
  })

  it('verifies an evidence file, and none that was changed', async () => {
    const evidence = await proveFrames({
      source: filesSource(sample.files),
      primitives: nodePrimitives,
      session: sample.full,
      payloads: payloadReader(testKeys),
    })
    const text = formatEvidence(evidence)
    const flags = flagsOf({ witnesses: true })
    const whole = await python([fileWith('evidence', text), ...flags])
    expect(whole).toMatchObject({ code: 0, proved: true, whole: true })
    for (const [name, bytes] of tamperedEvidence(text)) {
      const refused = await run('/usr/bin/python3', [VERIFIER, fileWith('evidence', bytes), ...flags]).catch(
        (error: { readonly code: number; readonly stderr: string }) => error,
      )
      expect(refused, name).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error: .*\n$/) })
    }
    for (const [from, to, code] of [
      [/"index":\d+,"entry"/, '"index":0,"entry"', 'entry'],
      [/"segment":\d+/, '"segment":0', 'frames'],
      [/("part":".{40})./, '$1A', 'frames'],
      [/("bytes":").{4}/, '$1AAAA', 'payload'],
      [/("salt":").{4}/, '$1AAAA', 'payload'],
      [/gateway\.example\/log\\n/, 'gateway.example/other\\n', 'signature'],
    ] as const) {
      const changed = text.replace(from, to)
      expect(changed).not.toBe(text)
      const answer = await python([fileWith('evidence', changed), ...flags])
      expect(answer, code).toMatchObject({ code: 1, proved: false })
      expect(answer.failures[0], code).toMatchObject({ code })
    }
  })
})
