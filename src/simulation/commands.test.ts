import { expect, test } from 'vitest'
import type { Basis, Entry } from '../core/index.ts'
import { brand, type SessionId } from '../core/index.ts'
import type { RecordedEntry } from '../recording/index.ts'
import { intentEntry, openEntry, outcomeEntry } from '../testing/entries.ts'
import { commandsOf } from './commands.ts'

const session = brand<SessionId>('01KG9YS7G0WZ1PM1Z6QPQ83PSD')
const basis: Basis = { policy: 'cfg_1', configuration: 'a'.repeat(64) }

type Given = Entry | { readonly entry: Entry; readonly erased: readonly 'text'[] }

async function* recorded(entries: readonly Given[]): AsyncGenerator<RecordedEntry> {
  for (const [at, each] of entries.entries()) {
    const given = 'entry' in each ? each : { entry: each }
    yield await Promise.resolve({ sequence: at + 1, time: at, session, ...given })
  }
}

async function told(...entries: readonly Given[]) {
  const found: (readonly [number, string | undefined, string | undefined])[] = []
  for await (const each of commandsOf(recorded(entries), () => true))
    found.push([each.intent.n, each.outcome?.tag, each.basis?.policy])
  return found
}

test('commands come in their order, each with its outcome, and with what it was judged by', async () => {
  expect(
    await told(
      openEntry(),
      intentEntry(1),
      intentEntry(2, { basis }),
      outcomeEntry(2, { tag: 'two' }),
      intentEntry(3),
      outcomeEntry(1, { tag: 'one' }),
      outcomeEntry(3, { tag: 'three' }),
      intentEntry(4, { basis: { ...basis, policy: 'cfg_2' } }),
    ),
  ).toEqual([
    [1, 'one', undefined],
    [2, 'two', 'cfg_1'],
    [3, 'three', 'cfg_1'],
    [4, undefined, 'cfg_2'],
  ])
})

test('nothing is read of a session that is not wanted', async () => {
  const found: unknown[] = []
  for await (const each of commandsOf(recorded([openEntry(), intentEntry(1)]), () => false)) found.push(each)
  expect(found).toEqual([])
})

test('a command whose text was erased says so', async () => {
  const found: boolean[] = []
  const entries = recorded([openEntry(), { entry: intentEntry(1), erased: ['text'] }, intentEntry(2)])
  for await (const { erased } of commandsOf(entries, () => true)) found.push(erased)
  expect(found).toEqual([true, false])
})
