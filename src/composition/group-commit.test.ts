import { expect, test } from 'vitest'
import { GroupCommit } from './group-commit.ts'

test('entries of one turn share one sync, and none is told of before it', async () => {
  const done: string[] = []
  const commit = new GroupCommit({
    append: (_, entry) => void done.push(entry.kind),
    sync: () => void done.push('sync'),
  })
  await Promise.all(
    ['a', 'b'].map((action) => commit.record({ action, by: 'ada' }).then(() => done.push(action))),
  )
  await commit.record({ action: 'c', by: 'ada' })
  expect(done).toEqual(['admin', 'admin', 'sync', 'a', 'b', 'admin', 'sync'])
})

test('a sync that fails fails all that waited for it, and nobody else', async () => {
  let broken = true
  const commit = new GroupCommit({
    append: () => undefined,
    sync() {
      if (broken) throw new Error('disk')
    },
  })
  const all = await Promise.allSettled(['a', 'b'].map((action) => commit.record({ action, by: 'ada' })))
  expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  broken = false
  await expect(commit.record({ action: 'c', by: 'ada' })).resolves.toBeUndefined()
})
