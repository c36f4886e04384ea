import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { GatewayError } from '../../core/index.ts'
import type { Witnessed, WitnessStorage } from '../witness/witness.ts'

/** Contradictions kept of one log: one is proof enough, and who holds the key could make any number. */
const CONTRADICTIONS_MAX = 100
const BUSY_MS = 5_000

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS latest (
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, signed BLOB NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS contradiction (
    origin TEXT NOT NULL, signed BLOB NOT NULL, UNIQUE (origin, signed)
  ) STRICT`

/**
 * What a witness must not forget, in SQLite: one statement compares and stores, also between processes, and is on the
 * disk when it returns. Calls block for as long as the disk takes: a witness has nothing else to do.
 */
export class WitnessState implements WitnessStorage {
  readonly #database: DatabaseSync

  /** Opens `witness.db` in the directory, and makes both where there are none. */
  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.#database = new DatabaseSync(join(directory, 'witness.db'), {
      timeout: BUSY_MS,
      allowExtension: false,
    })
    this.#database.exec('PRAGMA journal_mode = WAL')
    // NORMAL loses commits at a power cut, and a witness that forgets cosigns two trees.
    this.#database.exec('PRAGMA synchronous = FULL')
    this.#database.exec(SCHEMA)
  }

  async latest(origin: string): Promise<Witnessed | undefined> {
    const row = this.#database.prepare('SELECT size, root, signed FROM latest WHERE origin = ?').get(origin)
    if (row === undefined) return undefined
    const { size, root, signed } = row
    if (typeof size !== 'number' || !(root instanceof Uint8Array) || !(signed instanceof Uint8Array)) {
      throw new GatewayError('internal', 'The state of the witness is damaged.', {
        remedy: 'Bring its directory back as it last was: an older state would cosign what it must not.',
      })
    }
    return { size, root, signed }
  }

  async advance(origin: string, before: number | undefined, next: Witnessed): Promise<boolean> {
    const { size, root, signed } = next
    const { changes } =
      before === undefined
        ? this.#database
            .prepare('INSERT INTO latest VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING')
            .run(origin, size, root, signed)
        : this.#database
            .prepare('UPDATE latest SET size = ?, root = ?, signed = ? WHERE origin = ? AND size = ?')
            .run(size, root, signed, origin, before)
    return Number(changes) === 1
  }

  async keepContradiction(origin: string, signed: Uint8Array): Promise<void> {
    this.#database
      .prepare(
        `INSERT INTO contradiction SELECT ?1, ?2
          WHERE (SELECT count(*) FROM contradiction WHERE origin = ?1) < ${CONTRADICTIONS_MAX}
          ON CONFLICT DO NOTHING`,
      )
      .run(origin, signed)
  }

  /** The signed checkpoints that contradict what was cosigned. */
  contradictions(origin: string): readonly Uint8Array[] {
    return this.#database
      .prepare('SELECT signed FROM contradiction WHERE origin = ? ORDER BY rowid')
      .all(origin)
      .flatMap(({ signed }) => (signed instanceof Uint8Array ? [signed] : []))
  }

  close(): void {
    this.#database.close()
  }
}
