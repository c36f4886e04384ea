import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../core/index.ts'
import { AnswerBody } from './answer-body.ts'

function body() {
  const line = { resumed: 0, aborted: 0 }
  const made = new AnswerBody({ resume: () => line.resumed++, abort: () => line.aborted++ })
  return { line, made }
}

describe('the body of an answer', () => {
  it('is not read on while enough of it waits, and is once it is taken', async () => {
    const { line, made } = body()
    expect(made.push(Buffer.alloc(LIMITS.httpAnswerWaitingBytes / 2))).toBe(true)
    expect(made.push(Buffer.alloc(LIMITS.httpAnswerWaitingBytes / 2))).toBe(false)
    expect(line.resumed).toBe(0)
    expect((await made.next())?.length).toBe(LIMITS.httpAnswerWaitingBytes)
    expect(line.resumed).toBe(1)
  })

  it('counts what pieces cost, so that those of one byte fill it, too', () => {
    const { made } = body()
    let pieces = 0
    while (made.push(Buffer.alloc(1))) pieces++
    expect(pieces).toBeLessThan(LIMITS.httpAnswerWaitingBytes / 100)
  })

  it('gives what came before it broke off, and then says so', async () => {
    const { made } = body()
    made.push(Buffer.from('part'))
    made.fail(new Error('socket'))
    expect(String(await made.next())).toBe('part')
    await expect(made.next()).rejects.toMatchObject({ code: 'upstream_unreachable' })
  })

  it('is waited for, and ends with its trailers', async () => {
    const { line, made } = body()
    const next = made.next()
    made.end(['x-sum', '1'])
    expect(await next).toBeUndefined()
    expect(made.trailers).toEqual(['x-sum', '1'])
    made.stop()
    expect(line.aborted).toBe(0)
  })

  it('is stopped where nobody wants more of it than this', async () => {
    const { line, made } = body()
    made.push(Buffer.alloc(100))
    await made.discard(50)
    expect(line.aborted).toBe(1)
  })
})
