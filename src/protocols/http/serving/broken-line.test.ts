import { afterEach, describe, expect, it } from 'vitest'
import { HttpStage } from '../../../testing/http-stage.ts'
import { until } from '../../../testing/world.ts'

const stages: HttpStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

async function open(): Promise<HttpStage> {
  const stage = await HttpStage.open()
  stages.push(stage)
  return stage
}

describe('a line on which nothing more can be read', () => {
  it('ends behind the answers to what came before, which were done (C-03)', async () => {
    const stage = await open()
    const release: (() => void)[] = []
    stage.answer('GET /numbers', (response) => void release.push(() => response.end('[1]')))
    const client = await stage.client()
    const one = `GET /c/api/numbers HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${client.token}\r\n\r\n`
    client.socket.write(`${one}${one}no request\r\n\r\n`)
    await until('both are asked for', () => release.length === 2)
    expect(client.received().toString()).toBe('')
    for (const each of release) each()
    await until('the line has ended', () => client.ended)
    const statuses = [
      ...client
        .received()
        .toString()
        .matchAll(/HTTP\/1\.1 (\d{3})/g),
    ].map(([, status]) => status)
    expect(statuses).toEqual(['200', '200', '400'])
  })
})
