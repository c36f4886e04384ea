import { randomBytes } from 'node:crypto'
import {
  type AdminHead,
  type Entry,
  type IntentHead,
  newSessionId,
  type OpenHead,
  type OutcomeHead,
  type SessionId,
} from '../core/index.ts'
import type { SessionSummary } from '../recording/index.ts'

/** Entries for tests: only what a test is about has to be spelled out. */
export function sessionId(at: number = Date.UTC(2026, 0, 1)): SessionId {
  return newSessionId(at, randomBytes)
}

export function openEntry(head: Partial<OpenHead> = {}): Entry {
  return {
    kind: 'open',
    head: {
      connection: 'crm',
      protocol: 'postgres',
      chain: [
        { kind: 'agent', name: 'support-agent', issuer: 'local', groups: ['agents'] },
        { kind: 'person', name: 'ada@example.com', issuer: 'local', groups: [] },
      ],
      credential: 'c_0123456789abcdef',
      mintedBy: 'operator socket',
      clientAddress: '127.0.0.1',
      program: 'psql',
      database: 'crm',
      config: 'v1',
      ...head,
    },
  }
}

export function intentEntry(n: number, head: Partial<IntentHead> = {}): Entry {
  return {
    kind: 'intent',
    head: {
      n,
      form: 'query',
      text: `SELECT ${n}`,
      class: 'read',
      decision: 'allow',
      rules: ['agents read (sluice.yaml:12)'],
      ...head,
    },
  }
}

export function outcomeEntry(n: number, head: Partial<OutcomeHead> = {}, body?: Uint8Array): Entry {
  const all: OutcomeHead = {
    n,
    outcome: 'ok',
    tag: 'SELECT 1',
    rows: 1,
    bytes: 14,
    unkept: 0,
    ms: 1,
    ...head,
  }
  return body === undefined ? { kind: 'outcome', head: all } : { kind: 'outcome', head: all, body }
}

export function closeEntry(commands: number, reason = 'client left'): Entry {
  return { kind: 'close', head: { reason, commands } }
}

export function adminEntry(head: Partial<AdminHead> = {}): Entry {
  return { kind: 'admin', head: { action: 'secret.set', by: 'person:ada@example.com', ...head } }
}

/** Everything an iterable gives. */
export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const each of source) all.push(each)
  return all
}

/** A summary for tests: only what a test is about has to be spelled out. */
export function summaryOf(session: SessionId, rest: Partial<SessionSummary> = {}): SessionSummary {
  return {
    session,
    openedAt: 1_767_225_600_000,
    connection: 'crm',
    protocol: 'postgres',
    chain: ['agent:support-agent', 'person:ada@example.com'],
    credential: 'c_0',
    mintedBy: 'operator socket',
    clientAddress: '127.0.0.1',
    program: 'psql',
    database: 'crm',
    config: 'v1',
    commands: 0,
    denied: 0,
    held: 0,
    rows: 0,
    bytes: 0,
    ...rest,
  }
}
