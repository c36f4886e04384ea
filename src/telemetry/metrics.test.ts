import { describe, expect, it } from 'vitest'
import { brand, type Entry, GatewayError, type Journal, type SessionId } from '../core/index.ts'
import { Metrics, meteredJournal } from './index.ts'

const sealer = {
  lagFrames: 7,
  lagMs: 250,
  size: 11,
  faults: 1,
  stopped: true,
  witnesses: { cosigned: ['a'], failed: ['b', 'c'] },
}

const SESSION = brand<SessionId>('01JD000000000000000000000A')

function intent(decision: 'allow' | 'hold' | 'deny', masked: readonly string[] = []): Entry {
  return {
    kind: 'intent',
    head: { n: 1, form: 'query', text: 'SELECT secret_text', class: 'read', decision, rules: [], masked },
  }
}

const OUTLET = { name: 'siem', lagFrames: 12, delivered: 100, missed: 3, faults: 5, parked: true }

const STORE = {
  waitingFiles: 2,
  waitingBytes: 4_096,
  spoolBytes: 9_000,
  logEntries: 77,
  refused: 1,
  faults: 6,
}

function collecting(): Journal & { readonly entries: Entry[] } {
  const entries: Entry[] = []
  return {
    entries,
    append: (_session, entry) => entries.push(entry),
    flush: () => {},
    sync: () => {},
    seal: () => Buffer.alloc(0),
    fingerprint: () => '',
  }
}

describe('metrics', () => {
  it('count decisions, masks, outcomes and flushes of a journal, and ask for what is now', async () => {
    const metrics = new Metrics({
      sessions: () => 3,
      heldNow: () => 2,
      sealer: () => sealer,
      outlets: () => [OUTLET],
      store: () => STORE,
      channels: () => [{ name: 'ops', waiting: 4, sent: 3, failures: 2, undelivered: 1 }],
    })
    const inner = collecting()
    const journal = meteredJournal(inner, metrics)
    journal.append(SESSION, intent('allow', ['pii.email']))
    journal.append(SESSION, intent('allow'))
    journal.append(SESSION, intent('deny'))
    journal.append(SESSION, {
      kind: 'outcome',
      head: { n: 1, outcome: 'ok', tag: 'SELECT 7', rows: 7, bytes: 70, unkept: 0, ms: 1 },
    })
    journal.flush()
    expect(inner.entries).toHaveLength(4)
    const text = await metrics.text()
    expect(text).toContain('sluice_commands_total{decision="allow",class="read"} 2')
    expect(text).toContain('sluice_commands_total{decision="deny",class="read"} 1')
    expect(text).toContain('sluice_commands_total{decision="hold",class="opaque"} 0')
    expect(text).toContain('sluice_commands_masked_total 1')
    expect(text).toContain('sluice_outcomes_total{outcome="ok"} 1')
    expect(text).toContain('sluice_result_rows_total 7')
    expect(text).toContain('sluice_sessions 3')
    expect(text).toContain('sluice_stream_lag_frames{outlet="siem"} 12')
    expect(text).toContain('sluice_stream_parked{outlet="siem"} 1')
    expect(text).toContain('sluice_stream_missed{outlet="siem"} 3')
    expect(text).toContain('sluice_store_waiting_bytes 4096')
    expect(text).toContain('sluice_store_refused 1')
    expect(text).toContain('sluice_approvals_pending 2')
    expect(text).toContain('sluice_journal_flush_seconds_count 1')
    expect(text).toContain('process_cpu_seconds_total')
    expect(await metrics.text()).toContain('sluice_commands_masked_total 1')
  })

  it('lose no write, however many there were since they were last read', async () => {
    const metrics = new Metrics({
      sessions: () => 0,
      heldNow: () => 0,
      sealer: () => sealer,
      outlets: () => [],
      store: () => undefined,
      channels: () => [],
    })
    for (let i = 0; i < 2_500; i++) metrics.flushed(i < 2_400 ? 0.00001 : 2)
    for (let n = 0; n < 2; n++) {
      const text = await metrics.text()
      expect(text).toContain('sluice_journal_flush_seconds_bucket{le="0.00002"} 2400')
      expect(text).toContain('sluice_journal_flush_seconds_count 2500')
    }
  })

  it('show no statement, identity or label', async () => {
    const metrics = new Metrics({
      sessions: () => 0,
      heldNow: () => 0,
      sealer: () => sealer,
      outlets: () => [],
      store: () => undefined,
      channels: () => [],
    })
    meteredJournal(collecting(), metrics).append(SESSION, intent('allow', ['pii.email']))
    expect(await metrics.text()).not.toMatch(/secret_text|pii\.email|01JD/)
  })

  it('count writes that failed, and let the failure through', async () => {
    const metrics = new Metrics({
      sessions: () => 0,
      heldNow: () => 0,
      sealer: () => sealer,
      outlets: () => [],
      store: () => undefined,
      channels: () => [],
    })
    const broken: Journal = {
      append: () => {},
      flush: () => {
        throw new GatewayError('recording_unavailable', 'The disk is full.')
      },
      sync: () => {},
      seal: () => Buffer.alloc(0),
      fingerprint: () => '',
    }
    expect(() => meteredJournal(broken, metrics).flush()).toThrow('The disk is full.')
    const text = await metrics.text()
    expect(text).toContain('sluice_journal_failures_total 1')
    expect(text).toContain('sluice_journal_flush_seconds_count 0')
  })
})
