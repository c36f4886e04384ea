/** Runs PostgreSQL's pgbench against a target and reads its figures. */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../support/processes.ts'
import { environmentOf } from './target.ts'
import type { Target } from './target.ts'

export type Protocol = 'simple' | 'extended' | 'prepared'

export type Load = {
  readonly protocol: Protocol
  readonly clients: number
  /** How long, or how many transactions per client. */
  readonly seconds?: number
  readonly transactions?: number
  /** Transactions per second for all clients together; without it as fast as they can. */
  readonly rate?: number
  /** A script instead of the built-in select-only one. */
  readonly script?: string
}

export type Figures = { readonly tps: number; readonly transactions: number }

const VERSION = /\d+(\.\d+)+/

export async function pgbenchVersion(): Promise<string> {
  return VERSION.exec(await run('pgbench', ['--version']))?.[0] ?? 'unknown'
}

function argumentsOf(load: Load): string[] {
  return [
    '-n',
    ...(load.script === undefined ? ['-S'] : ['-f', load.script]),
    '-M',
    load.protocol,
    '-c',
    String(load.clients),
    '-j',
    String(Math.min(load.clients, 2)),
    ...(load.seconds === undefined ? [] : ['-T', String(load.seconds)]),
    ...(load.transactions === undefined ? [] : ['-t', String(load.transactions)]),
    ...(load.rate === undefined ? [] : ['-R', String(load.rate)]),
  ]
}

/** Throws when a single transaction failed: a benchmark of refusals measures nothing. */
export async function pgbench(target: Target, load: Load, extra: readonly string[] = []): Promise<Figures> {
  const out = await run('pgbench', [...argumentsOf(load), ...extra], environmentOf(target.at))
  const tps = Number(/^tps = ([\d.]+)/m.exec(out)?.[1])
  const transactions = Number(/^number of transactions actually processed: (\d+)/m.exec(out)?.[1])
  const failed = Number(/^number of failed transactions: (\d+)/m.exec(out)?.[1] ?? 0)
  if (!(tps > 0) || failed > 0) throw new Error(`pgbench against ${target.name}: ${out}`)
  return { tps, transactions }
}

/**
 * How long each transaction took, in milliseconds, from the moment it was due: waiting for a client that is still busy
 * counts, or a stall would hide the transactions it kept from starting.
 */
export async function latencies(target: Target, load: Load): Promise<readonly number[]> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-pgbench-'))
  try {
    await pgbench(target, load, ['-l', '--log-prefix', join(directory, 'log')])
    const found: number[] = []
    for (const file of await readdir(directory)) {
      // client_id transaction_no time script_no time_epoch time_us [schedule_lag]; time includes the lag.
      for (const line of (await readFile(join(directory, file), 'utf8')).split('\n')) {
        const time = line.split(' ')[2]
        if (time !== undefined) found.push(Number(time) / 1000)
      }
    }
    return found
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
