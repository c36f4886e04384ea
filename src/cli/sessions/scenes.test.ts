import { expect, it } from 'vitest'
import { GatewayError } from '../../core/index.ts'
import { errorBytes } from '../../protocols/postgres/errors.ts'
import { isTold, scenes, toldText } from './scenes.ts'

const at = { sequence: 2, time: 0 }
const opened = { ...at, sequence: 1, kind: 'open', head: { protocol: 'postgres' }, text: 'open' }
const body = errorBytes(new GatewayError('denied', 'Nothing comes of it.'), 'FATAL').toString('base64')
const told = { ...at, kind: 'result', head: { n: 0 }, text: 'told     90 bytes', body }
const result = { ...at, kind: 'result', head: { n: 1 }, text: '#1 result', body }

it('says in its place what a client was told outside of commands', async () => {
  expect([told, result, opened].map(isTold)).toEqual([true, false, false])
  const says = /^told {5}90 bytes\n {14}\| ERROR SL001: Nothing comes of it\./
  expect(toldText(told, 'postgres', 50)).toMatch(says)
  const played: string[] = []
  async function* entries() {
    yield* [opened, told, result]
  }
  for await (const { text } of scenes(entries(), 50)) played.push(text)
  expect(played).toEqual(['open', expect.stringMatching(says)])
})

it('folds what the gateway asked for itself, and nothing of the client', async () => {
  const text = '#2 code\n              | SELECT 1\n              | FROM x'
  const looked = { ...at, kind: 'intent', head: { n: 2, form: 'code' }, text }
  const asked = { ...looked, head: { n: 3, form: 'query' } }
  const played: string[] = []
  async function* entries() {
    yield* [opened, looked, asked]
  }
  for await (const scene of scenes(entries(), 50)) played.push(scene.text)
  expect(played).toEqual([
    'open',
    "#2 code\n              | (2 lines of the gateway's own; sluice sessions show has them)",
    text,
  ])
})
