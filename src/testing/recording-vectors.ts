import { type Entry, newSessionId, type SessionId } from '../core/index.ts'
import { Cutter, openJournal } from '../recording/index.ts'
import { adminEntry, closeEntry, intentEntry, openEntry, outcomeEntry } from './entries.ts'
import { FakeClock } from './fake-clock.ts'

/** A recording that is the same, byte for byte, whenever and wherever it is made. */
const id = (fill: number): SessionId =>
  newSessionId(Date.UTC(2026, 0, 1), (length) => new Uint8Array(length).fill(fill))
const first = id(10)
const second = id(20)
export const sessions: readonly SessionId[] = [first, second]

const steps: readonly (readonly [SessionId | undefined, Entry])[] = [
  [
    undefined,
    adminEntry({ action: 'config.applied', target: 'v1', details: { rules: 20, first: true, from: 'file' } }),
  ],
  [first, openEntry()],
  [first, intentEntry(1, { text: 'SELECT "Zoë", \u{1f600}\t\u0007 FROM t' })],
  [
    first,
    { kind: 'result', head: { n: 1 }, body: Uint8Array.from({ length: 300 }, (_, index) => index % 256) },
  ],
  [
    second,
    openEntry({
      chain: [{ kind: 'service', name: 'billing', issuer: 'https://id.example.com', groups: [] }],
    }),
  ],
  [first, outcomeEntry(1, { rows: 300, bytes: 302, unkept: 2 })],
  [
    second,
    intentEntry(1, {
      form: 'execute',
      text: 'DELETE FROM t WHERE id = $1 AND x = $2',
      class: 'write',
      decision: 'hold',
      reason: 'Wait for approval.',
      writes: ['public.t'],
      parameters: ['MQ==', null],
    }),
  ],
  [second, { kind: 'hold', head: { n: 1, ticket: 'T-7K2M9Q0A', expiresAt: Date.UTC(2026, 0, 1, 1) } }],
  [
    second,
    {
      kind: 'answer',
      head: { n: 1, ticket: 'T-7K2M9Q0A', answer: 'approved', by: 'person:eve@example.com' },
    },
  ],
  [second, outcomeEntry(1, { tag: 'DELETE 1' }, Buffer.from('DELETE 1\0'))],
  [first, { kind: 'notice', head: { n: 1, code: '01000', message: 'email is masked (pii.email)' } }],
  [first, intentEntry(2, { text: 'SELECT email FROM t', masked: ['pii.email'], reads: ['public.t'] })],
  [first, closeEntry(2)],
]

/** Writes the data directory of the vectors: two journal files, one session cut, the other stopped by a restart. */
export async function writeVectors(into: string): Promise<void> {
  const clock = new FakeClock()
  const onFault = (error: unknown): never => {
    throw error
  }
  const journal = openJournal({ directory: into, clock, onFault })
  const cutter = new Cutter({ directory: into, journal, clock, onFault })
  await cutter.start()
  for (const [session, entry] of steps) {
    clock.advance(7)
    journal.append(session, entry)
    journal.flush()
  }
  await cutter.catchUp()
  await cutter.stop()
  journal.close()
  clock.advance(1000)
  openJournal({ directory: into, clock, onFault }).close()
}
