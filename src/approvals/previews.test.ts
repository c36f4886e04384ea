import { describe, expect, test } from 'vitest'
import type { AdminHead, Preview, Ticket } from '../core/index.ts'
import { Previews } from './previews.ts'

const TICKET = 'T-00000001' as Ticket
const SEEN: Preview = { at: 1, ms: 2, rows: 3, tables: [], notes: [] }
const viewer = { masks: () => new Map() }

function stage() {
  let now = 1_000
  const records: AdminHead[] = []
  const previews = new Previews({ clock: { now: () => now }, record: (head) => records.push(head) })
  return { previews, records, later: (ms: number) => (now += ms) }
}

describe('trying held commands out', () => {
  test('is recorded, and shown again to who asked alone', async () => {
    const { previews, records } = stage()
    previews.offer(TICKET, () => Promise.resolve(SEEN))
    await previews.run(TICKET, 'person:ada', viewer)
    expect(previews.of(TICKET, 'person:ada')).toEqual(SEEN)
    expect(previews.of(TICKET, 'person:eve')).toBeUndefined()
    expect(records).toEqual([
      {
        action: 'approval.previewed',
        by: 'person:ada',
        target: TICKET,
        details: { ms: 2, rows: 3, tables: 0 },
      },
    ])
    previews.forget(TICKET)
    expect(previews.of(TICKET, 'person:ada')).toBeUndefined()
    await expect(previews.run(TICKET, 'person:ada', viewer)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('what is refused is recorded as well', async () => {
    const { previews, records } = stage()
    previews.offer(TICKET, () => Promise.reject(new Error('a fault')))
    await expect(previews.run(TICKET, 'person:ada', viewer)).rejects.toThrow('a fault')
    expect(records).toHaveLength(1)
    expect(records[0]?.details).toHaveProperty('refused')
  })

  test('one at a time of a command, two in all', async () => {
    const { previews } = stage()
    const tickets = ['T-00000001', 'T-00000002', 'T-00000003'] as Ticket[]
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    for (const each of tickets) previews.offer(each, () => held.then(() => SEEN))
    const first = previews.run(TICKET, 'person:ada', viewer)
    await expect(previews.run(TICKET, 'person:eve', viewer)).rejects.toMatchObject({ code: 'limit_exceeded' })
    const second = previews.run('T-00000002' as Ticket, 'person:eve', viewer)
    await expect(previews.run('T-00000003' as Ticket, 'person:bob', viewer)).rejects.toMatchObject({
      code: 'limit_exceeded',
    })
    release()
    expect(await Promise.all([first, second])).toHaveLength(2)
    expect(await previews.run('T-00000003' as Ticket, 'person:bob', viewer)).toBe(SEEN)
  })

  test('so many in a minute for one person', async () => {
    const { previews, later } = stage()
    previews.offer(TICKET, () => Promise.resolve(SEEN))
    let answered = 0
    const ask = (who: string) => previews.run(TICKET, who, viewer).then(() => answered++)
    await expect(
      (async () => {
        for (let i = 0; i < 1_000; i++) await ask('person:ada')
      })(),
    ).rejects.toMatchObject({ code: 'limit_exceeded' })
    expect(answered).toBe(30)
    await ask('person:eve')
    later(60_000)
    await ask('person:ada')
  })

  test('only so many are remembered', async () => {
    const { previews } = stage()
    for (let i = 0; i < 501; i++) previews.offer(`T-${i}` as Ticket, () => Promise.resolve(SEEN))
    expect([
      previews.has('T-0' as Ticket),
      previews.has('T-1' as Ticket),
      previews.has('T-500' as Ticket),
    ]).toEqual([false, true, true])
  })
})
