/**
 * What the recording costs: writing a transaction's two frames and flushing them, with the operating system's part
 * taken out and with it; the same with fsync; sealing it behind, into log and session files; reading it back. Ratios compare
 * with hashing and with a bare write of as many bytes in the same run. All but fsync is processor time, which others
 * on the machine disturb less than the clock on the wall.
 */
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newSessionId, type SessionId, systemClock } from '../src/core/index.ts'
import {
  type FileJournal,
  type FileSystem,
  openJournal,
  readJournal,
  systemFiles,
} from '../src/recording/index.ts'
import { DirectoryStorage } from '../src/evidence/index.ts'
import { logDirectory } from '../src/recording/files/names.ts'
import { keysOf } from '../src/testing/recording-keys.ts'
import { seal } from '../src/testing/seal.ts'
import type { BenchOptions } from './support/options.ts'
import { commit, keep, machine, table } from './support/report.ts'
import { median, rounded } from './support/statistics.ts'

const SESSIONS = 8
const STATEMENT = 'SELECT abalance FROM pgbench_accounts WHERE aid = $1;'
/** Shared, as the session shares what belongs to a cached decision. */
const RULES = ['support agents read what is theirs (sluice.yaml:41)']
const READS = ['public.pgbench_accounts']
/** The answer to one pgbench SELECT, from BindComplete to ReadyForQuery. */
const RESULT = Buffer.alloc(66, 'r')

const keys = keysOf(randomBytes(32))

/** Files that take everything and keep nothing: what is left is our own work. */
const nowhere: FileSystem = {
  ...systemFiles,
  write: (_file, _bytes, _offset, length) => length,
  sync: () => {},
  syncLater: (_file, done) => setImmediate(done, null),
}

function begin(
  directory: string,
  files: FileSystem,
): { journal: FileJournal; sessions: readonly SessionId[] } {
  const journal = openJournal({
    directory,
    keys,
    clock: systemClock,
    random: (length) => randomBytes(length),
    files,
    onFault: (error) => {
      throw error
    },
  })
  const sessions = Array.from({ length: SESSIONS }, () =>
    newSessionId(Date.now(), (length) => randomBytes(length)),
  )
  for (const session of sessions) {
    journal.append(session, {
      kind: 'open',
      head: {
        connection: 'bench',
        protocol: 'postgres',
        chain: [{ kind: 'agent', name: 'bench', issuer: 'local', groups: [] }],
        credential: 'c_0123456789abcdef',
        mintedBy: 'operator socket',
        clientAddress: '127.0.0.1',
        program: 'pgbench',
        database: 'bench',
        config: 'v1',
      },
    })
  }
  journal.flush()
  return { journal, sessions }
}

function transaction(journal: FileJournal, session: SessionId, n: number): void {
  const parameters = ['MTIzNDU2']
  journal.append(session, {
    kind: 'intent',
    head: {
      n,
      form: 'execute',
      text: STATEMENT,
      class: 'read',
      decision: 'allow',
      rules: RULES,
      reads: READS,
      parameters,
    },
  })
  journal.append(session, {
    kind: 'outcome',
    head: { n, outcome: 'ok', tag: 'SELECT 1', rows: 1, bytes: RESULT.length, unkept: 0, ms: 0 },
    body: RESULT,
  })
}

/** Microseconds per transaction when each `batch` of them is flushed at once. */
function write(files: FileSystem, batch: number, count: number, how: 'flush' | 'sync' = 'flush'): number {
  return inDirectory((directory) => {
    const { journal, sessions } = begin(directory, files)
    const run = (from: number, to: number): void => {
      for (let n = from; n < to; n++) {
        transaction(journal, sessions[n % SESSIONS] ?? newSessionId(0, () => new Uint8Array(16)), n)
        if (n % batch === 0) journal[how]()
      }
    }
    run(0, Math.min(count, 20_000))
    return spent(() => run(0, count), how === 'sync') / count
  })
}

/** Microseconds of a bare write of as many bytes. */
function bare(bytes: number, count: number, sync: boolean): number {
  return inDirectory((directory) => {
    const file = openSync(join(directory, 'bare'), 'w')
    const piece = Buffer.alloc(bytes, 'x')
    const us = spent(() => {
      for (let n = 0; n < count; n++) {
        writeSync(file, piece, 0, bytes, n * bytes)
        if (sync) fdatasyncSync(file)
      }
    }, sync)
    closeSync(file)
    return us / count
  })
}

function hashing(bytes: number, count: number): number {
  const piece = Buffer.alloc(bytes, 'x')
  const hash = createHash('sha256')
  const update = (): void => {
    for (let n = 0; n < count; n++) hash.update(piece)
  }
  return spent(update, false) / count
}

/** Microseconds: of the clock on the wall, or of the processor in this process. */
function spent(work: () => void, onTheWall: boolean): number {
  const started = performance.now()
  const before = process.cpuUsage()
  work()
  return onTheWall ? (performance.now() - started) * 1000 : processorUs(before)
}

function processorUs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return user + system
}

async function sealAndRead(
  count: number,
): Promise<{ sealUs: number; readMbPerS: number; bytesPerTransaction: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  try {
    const { journal, sessions } = begin(directory, systemFiles)
    for (let n = 0; n < count; n++)
      transaction(journal, sessions[n % SESSIONS] ?? newSessionId(0, () => new Uint8Array(16)), n)
    for (const session of sessions)
      journal.append(session, { kind: 'close', head: { reason: 'end', commands: count } })
    journal.sync()
    let before = process.cpuUsage()
    // A piece at a time, as behind a gateway that is never idle: a checkpoint each 40,000 frames.
    await seal(directory, systemClock, {
      keys,
      storage: await DirectoryStorage.open(logDirectory(directory)),
    })
    const sealUs = processorUs(before)
    before = process.cpuUsage()
    let entries = 0
    for await (const _ of readJournal(directory, keys)) entries++
    const readUs = processorUs(before)
    if (entries < count * 2) throw new Error(`${entries} entries of ${count} transactions were read`)
    journal.close()
    const bytes = systemFilesSize(directory)
    return {
      sealUs: sealUs / count,
      readMbPerS: bytes / readUs,
      bytesPerTransaction: bytes / count,
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function systemFilesSize(directory: string): number {
  let bytes = 0
  for (const name of systemFiles.list(join(directory, 'journal'))) {
    const file = systemFiles.open(join(directory, 'journal', name), 'r')
    bytes += systemFiles.size(file)
    systemFiles.close(file)
  }
  return bytes
}

function inDirectory<T>(work: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  try {
    return work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

export async function recording(options: BenchOptions): Promise<void> {
  const rounds = options.quick ? 3 : 7
  const count = options.quick ? 30_000 : 200_000
  const syncs = options.quick ? 100 : 1000
  const of = (measure: () => number): number => median(Array.from({ length: rounds }, measure))
  const { bytesPerTransaction, sealUs, ...speeds } = await sealAndRead(count)
  const size = Math.round(bytesPerTransaction)
  const us = {
    'one by one, without the system': of(() => write(nowhere, 1, count)),
    'eight at a time, without the system': of(() => write(nowhere, 8, count)),
    'one by one': of(() => write(systemFiles, 1, count)),
    'eight at a time': of(() => write(systemFiles, 8, count)),
    'sealing, in a thread of its own': sealUs,
    'a bare write of the same size': of(() => bare(size, count, false)),
    'SHA-256 of the same bytes': of(() => hashing(size, count)),
    'one by one, with fsync': of(() => write(systemFiles, 1, syncs, 'sync')),
    'a bare write with fsync': of(() => bare(size, syncs, true)),
  }
  const ratios = {
    'flush.vs_bare_write': rounded(us['one by one'] / us['a bare write of the same size']),
    'sync.vs_bare_fsync': rounded(us['one by one, with fsync'] / us['a bare write with fsync']),
    'hash.vs_own_work': rounded(us['SHA-256 of the same bytes'] / us['one by one, without the system']),
  }
  console.log(
    table(
      ['a transaction: intent and outcome', 'us'],
      Object.entries(us).map(([name, value]) => [name, rounded(value)]),
    ),
  )
  console.log(table(['in the background', 'MB/s'], [['reading entries', rounded(speeds.readMbPerS)]]))
  const results = {
    benchmark: 'recording',
    at: new Date().toISOString(),
    commit: commit(),
    quick: options.quick,
    machine: machine(),
    versions: { node: process.version },
    ratios,
    scenarios: { us, speeds, bytesPerTransaction: size },
  }
  const file = await keep(options.name ?? 'latest/recording', results)
  console.log(`written to ${file}`)
  if (options.json) console.log(JSON.stringify({ ratios, us, speeds }))
}
