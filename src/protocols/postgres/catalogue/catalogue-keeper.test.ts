import { describe, expect, test } from 'vitest'
import type { ConnectionName } from '../../../core/index.ts'
import { brand, Secret } from '../../../core/index.ts'
import { FakeClock } from '../../../testing/fake-clock.ts'
import { FakeNetwork } from '../../../testing/fake-network.ts'
import type { Answer } from '../../../testing/fake-postgres-answers.ts'
import { fails, rows } from '../../../testing/fake-postgres-answers.ts'
import { FakePostgres } from '../../../testing/fake-postgres.ts'
import { turns } from '../../../testing/pipe-pair.ts'
import { postgresSettings } from '../settings.ts'
import { fingerprintQuery } from './catalogue.ts'
import { beginningOf, BEGINNING_QUERY, CatalogueKeeper } from './catalogue-keeper.ts'

const EVERY_MS = 1_000

describe('the search path that a session begins with', () => {
  const pathOf = (path: string) => beginningOf([[path, 'app', 'app']]).searchPath

  test('is followed as far as the server reads a name', () => {
    const longest = 'l'.repeat(63)
    expect(pathOf(`${longest}, "${longest}", public`)).toEqual([longest, longest, 'public'])
  })

  test.each(['l'.repeat(64), `"${'l'.repeat(64)}"`, `"${'é'.repeat(32)}"`])(
    'is not followed where the server cuts a name short, and finds another schema: %s (P-03)',
    (name) => {
      expect(() => pathOf(`${name}, public`)).toThrow('cannot be followed')
    },
  )
})

describe('a catalogue that everybody has left, and somebody wants again', () => {
  test('while it was being polled: the poll that was cut short is nobody’s fault, and harms nobody', async () => {
    const stage = new Stage()
    const { keeper, clock } = stage
    keeper.join()
    await keeper.ready()
    stage.isSlow = true
    clock.advance(EVERY_MS)
    await turns()
    stage.isSlow = false
    keeper.leave()
    keeper.join()
    const known = await keeper.ready()
    await turns()
    expect(stage.reported).toEqual([])
    expect(keeper.current()).toBe(known)
    clock.advance(EVERY_MS)
    await turns()
    expect(keeper.current()).toBe(known)
  })

  test('while it was being read: it is read anew', async () => {
    const stage = new Stage()
    const { keeper } = stage
    stage.isSlow = true
    keeper.join()
    const first = keeper.ready().catch(() => 'cut short')
    await turns()
    stage.isSlow = false
    keeper.leave()
    keeper.join()
    const known = await keeper.ready()
    expect(await first).toBe('cut short')
    await turns()
    expect(keeper.current()).toBe(known)
    expect(stage.reported).toEqual([])
  })
})

describe('what the server does not tell', () => {
  test('because it had ended the session, as it may one that is idle, is asked over another', async () => {
    const stage = new Stage()
    stage.keeper.join()
    const known = await stage.keeper.ready()
    stage.next = { kind: 'crash' }
    expect(await stage.keeper.checked()).toBe(known)
    expect(stage.server.startups).toHaveLength(2)
  })

  test('because it ends every session, is asked once more and not for ever', async () => {
    const stage = new Stage()
    stage.keeper.join()
    await stage.keeper.ready()
    stage.next = { kind: 'crash' }
    stage.stays = true
    await expect(stage.keeper.checked()).rejects.toMatchObject({ code: 'upstream_unreachable' })
    expect(stage.server.startups).toHaveLength(2)
  })

  test('because it says no, is an error that says so, and the next question is asked over another session', async () => {
    const stage = new Stage()
    stage.keeper.join()
    const known = await stage.keeper.ready()
    stage.next = fails('57014', 'canceling statement due to statement timeout')
    await expect(stage.keeper.checked()).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message:
        'The server did not tell its definitions (SQLSTATE 57014), without which no command can be judged.',
      retry: 'later',
    })
    expect(await stage.keeper.checked()).toBe(known)
    expect(stage.server.startups).toHaveLength(2)
  })

  test('the time that statements of its role may take is not that of these', async () => {
    const stage = new Stage()
    stage.keeper.join()
    await stage.keeper.ready()
    expect(stage.server.startups.map(({ parameters }) => parameters.get('statement_timeout'))).toEqual([
      '60000',
    ])
  })
})

/** A keeper over a server without tables. */
class Stage {
  readonly clock = new FakeClock()
  readonly reported: unknown[] = []
  readonly keeper: CatalogueKeeper
  /** The server does not come to an answer. */
  isSlow = false
  /** Its next answer, or all of them if it `stays`. */
  next: Answer | undefined
  stays = false
  readonly server = new FakePostgres({ auth: 'trust' })

  constructor() {
    const { server } = this
    server.script((sql) => this.#answer(sql))
    const network = new FakeNetwork().listen('db', 5432, (pipe) => server.serve(pipe))
    this.keeper = new CatalogueKeeper(
      {
        network,
        random: (length) => Buffer.alloc(length),
        resolveSecret: async () => new Secret(''),
        clock: this.clock,
        report: (error) => this.reported.push(error),
      },
      {
        name: brand<ConnectionName>('crm'),
        protocol: 'postgres',
        settings: postgresSettings.parse({
          upstream: { host: 'db', user: 'sluice', sslmode: 'disable' },
          catalogueEvery: `${EVERY_MS}ms`,
        }),
        labels: [],
        limit: { rowsMax: 1, bytesMax: 1 },
        patienceMs: 0,
        sessionsPerIdentity: 1,
        durability: 'fsync',
        resultBytesKept: 0,
      },
      'crm',
    )
  }

  #answer(sql: string): readonly Answer[] {
    if (sql === fingerprintQuery && this.isSlow)
      return [{ kind: 'wait', until: new Promise(() => undefined) }]
    const next = this.next
    if (!this.stays) this.next = undefined
    if (next !== undefined) return [next]
    if (sql === BEGINNING_QUERY) return [rows(['path', 'role', 'login'], [['public', 'sluice', 'sluice']])]
    return [
      sql.includes('current_database') ? rows(['database', 'path'], [['crm', 'public']]) : rows(['oid'], []),
    ]
  }
}
