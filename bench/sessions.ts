/**
 * An archive really on disk: 200,000 sessions, 10 GB of sealed files, made by the recording itself. Lists and filters
 * them through the store, and verifies the whole of it. All of it lies in TMPDIR.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { directoryAuditSource, nodePrimitives, verifyRecording } from '../src/audit/index.ts'
import { brand, type LabelName, newSessionId, systemClock } from '../src/core/index.ts'
import { nodeSha256, parseVerifierKey } from '../src/evidence/index.ts'
import { openRecording, type Recording, type SessionFilter } from '../src/recording/index.ts'
import { Store } from '../src/store/index.ts'
import { intentEntry, openEntry, outcomeEntry } from '../src/testing/entries.ts'
import { keysOf, seedsOf } from '../src/testing/recording-keys.ts'
import { document, markdown } from './support/document.ts'
import type { BenchOptions } from './support/options.ts'
import { commit, keep, machine, table } from './support/report.ts'
import { median, rounded } from './support/statistics.ts'

const COMMANDS = 5
/** Of one result: what does not compress, so that what is on disk is what was written. */
const RESULT_BYTES = 10_300
/** Sessions that are open at once: the sealer gets that far behind, and no further. */
const BATCH = 500
const ROUNDS = 5

const BARS = { 'list.slowest_ms': { atMost: 1_000 }, 'verify.mb_per_s': { atLeast: 100 } }

const FILTERS: Readonly<Record<string, Omit<SessionFilter, 'limit'>>> = {
  'the newest': {},
  'of one identity': { identity: 'person:p7@example.com' },
  'of one connection, in an hour': { connection: 'db-3' },
  'of a group, reading a rare table': { read: 'public.t7', group: 'agents' },
  'writing, held': { class: 'write', decision: 'hold' },
  'with a label masked': { masked: 'pii.email' },
  'with a label in clear, by nobody': { clear: 'pii.email', identity: 'person:none' },
}

export async function sessions(options: BenchOptions): Promise<void> {
  const count = options.quick ? 2_000 : 200_000
  const directory = mkdtempSync(join(tmpdir(), 'sluice-archive-'))
  const master = randomBytes(32)
  const faults: unknown[] = []
  const store = await Store.open(directory, (error) => faults.push(error))
  const recording = await openRecording({
    directory,
    keys: keysOf(master),
    seeds: seedsOf(master),
    clock: systemClock,
    random: (length) => randomBytes(length),
    index: store.sessions,
    onFault: (error) => faults.push(error),
  })
  try {
    const began = performance.now()
    const openedFrom = Date.now()
    await fill(recording, count)
    const filledS = (performance.now() - began) / 1000
    const { vkey } = recording.sealer()
    if (vkey === undefined) throw new Error('the log has no key')
    const bytes = await sizeOf(join(directory, 'sessions'))
    const ms: Record<string, number> = {}
    for (const [name, filter] of Object.entries(FILTERS)) {
      const within = filter.connection === undefined ? filter : { ...filter, openedFrom }
      ms[name] = await listing(recording, within)
    }
    await recording.stop()
    const verified = await verifying(directory, vkey)
    if (faults.length > 0) throw new AggregateError(faults, 'The recording had faults.')
    const measures = {
      'list.slowest_ms': Math.max(...Object.values(ms)),
      'verify.mb_per_s': rounded(verified.bytes / 1e6 / verified.seconds),
      'verify.seconds': rounded(verified.seconds),
      'fill.mb_per_s': rounded(bytes / 1e6 / filledS),
      'disk.gb': rounded(bytes / 1e9),
    }
    const rows = Object.entries(ms).map(([name, value]) => [name, value] as const)
    console.log(table([`${count} sessions, ${measures['disk.gb']} GB`, 'ms'], rows))
    console.log(table(['', ''], Object.entries(measures)))
    const results = {
      benchmark: 'sessions',
      at: new Date().toISOString(),
      commit: commit(),
      quick: options.quick,
      machine: machine(),
      versions: { node: process.version },
      ratios: {},
      measures,
      scenarios: { sessions: count, bytes, ms, verified: verified.sessions },
    }
    console.log(`written to ${await keep(options.name ?? 'latest/sessions', results)}`)
    if (options.document) await document(results, BARS, markdown(['listing', 'ms'], rows))
    if (options.json) console.log(JSON.stringify({ measures, ms }))
  } finally {
    await recording.stop()
    await store.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Sessions as agents have them, a batch at a time. */
async function fill({ journal, settle }: Recording, count: number): Promise<void> {
  for (let from = 0; from < count; from += BATCH) {
    const numbers = Array.from({ length: Math.min(BATCH, count - from) }, (_, at) => from + at)
    for (const i of numbers) {
      const session = newSessionId(Date.now(), (length) => randomBytes(length))
      const person = `p${i % 1000}@example.com`
      journal.append(
        session,
        openEntry({
          connection: `db-${i % 20}`,
          chain: [
            { kind: 'agent', name: `agent-${i % 50}`, issuer: 'local', groups: ['agents'] },
            { kind: 'person', name: person, issuer: 'local', groups: ['engineers'] },
          ],
        }),
      )
      for (let n = 1; n <= COMMANDS; n++) {
        const writes = (i + n) % 40 === 0
        const column = { column: 'public.customers.email', label: brand<LabelName>('pii.email') }
        journal.append(
          session,
          intentEntry(n, {
            text: `SELECT name, email FROM customers WHERE id = ${i * COMMANDS + n}`,
            reads: ['public.customers', `public.t${i % 300}`],
            ...(i % 3 === 0 ? { masked: ['pii.email'], columns: [column] } : {}),
            ...(writes ? { class: 'write', decision: 'hold', writes: ['public.orders'] } : {}),
          }),
        )
        const body = randomBytes(RESULT_BYTES)
        journal.append(session, outcomeEntry(n, { rows: 40, bytes: RESULT_BYTES, ms: 2 }, body))
      }
      journal.append(session, { kind: 'close', head: { reason: 'client left', commands: COMMANDS } })
      journal.flush()
    }
    await settle()
    if (process.stderr.isTTY) process.stderr.write(`\r${from + numbers.length} of ${count} sessions`)
  }
}

/** Milliseconds until a page of them is there: the median of some. */
async function listing(recording: Recording, filter: Omit<SessionFilter, 'limit'>): Promise<number> {
  const took: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now()
    await recording.list({ ...filter, limit: 100 })
    took.push(performance.now() - began)
  }
  return rounded(median(took))
}

async function verifying(directory: string, vkey: string) {
  const began = performance.now()
  const verdict = await verifyRecording({
    source: directoryAuditSource(directory),
    primitives: nodePrimitives,
    keys: [parseVerifierKey(nodeSha256, vkey)],
  })
  if (!verdict.proved) throw new Error(`not proved: ${JSON.stringify(verdict.failures.slice(0, 3))}`)
  return {
    seconds: (performance.now() - began) / 1000,
    bytes: verdict.files.bytes,
    sessions: verdict.sessions.filter(({ state }) => state === 'proved').length,
  }
}

/** Bytes of all files below a directory. */
async function sizeOf(directory: string): Promise<number> {
  let bytes = 0
  for (const day of await readdir(directory))
    for (const name of await readdir(join(directory, day)))
      bytes += (await stat(join(directory, day, name))).size
  return bytes
}
