import { expect, it } from 'vitest'
import { LIMITS } from '../../core/index.ts'
import { intentEntry, sessionId } from '../../testing/entries.ts'
import { FakeClock } from '../../testing/fake-clock.ts'
import { MemoryJournal } from '../../testing/memory-journal.ts'
import type { Followed } from './tail.ts'
import { Tail } from './tail.ts'

const session = sessionId()

it('tells entries to who follows, once they are written and not before', () => {
  const inner = new MemoryJournal()
  const tail = new Tail(inner, new FakeClock())
  const told: number[] = []
  tail.journal.append(session, intentEntry(1))
  const end = tail.follow((entries: readonly Followed[]) => {
    for (const { entry } of entries) if (entry.kind === 'intent') told.push(entry.head.n)
  })
  tail.journal.append(session, intentEntry(2))
  expect(told).toEqual([])
  tail.journal.flush()
  expect(told).toEqual([2])
  tail.journal.append(session, intentEntry(3))
  tail.journal.sync()
  expect(told).toEqual([2, 3])
  end()
  tail.journal.append(session, intentEntry(4))
  tail.journal.flush()
  expect(told).toEqual([2, 3])
  expect(inner.entries).toHaveLength(4)
})

it('keeps no more than it may between two writes, and tells how many were missed', () => {
  const tail = new Tail(new MemoryJournal(), new FakeClock())
  const told: [number, number][] = []
  tail.follow((entries, missed) => told.push([entries.length, missed]))
  for (let n = 1; n <= LIMITS.tailWaitingMax + 5; n++) tail.journal.append(session, intentEntry(n))
  tail.journal.flush()
  expect(told).toEqual([[LIMITS.tailWaitingMax, 5]])
  tail.journal.append(session, intentEntry(1))
  tail.journal.flush()
  expect(told.at(-1)).toEqual([1, 0])
})
