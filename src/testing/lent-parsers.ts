import type { ParserInstance } from '../sql/parse/instance.ts'
import { loadParserInstance } from '../sql/parse/instance.ts'

/** What an analyser has at a time: the one in use, and the one at hand when that breaks. */
const SLOTS = 2

const slots: (Promise<ParserInstance> | undefined)[] = []
let turn = 0

/**
 * Instances of the grammar for tests that make an analyser each: the same two again and again. Making one takes 2 ms
 * and its memory is megabytes, parsing with one leaves nothing behind. One that has thrown is not lent again.
 */
export function lendParserInstance(): Promise<ParserInstance> {
  const slot = turn++ % SLOTS
  return (slots[slot] ??= lent(slot))
}

async function lent(slot: number): Promise<ParserInstance> {
  const instance = await loadParserInstance()
  const guarded = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      slots[slot] = undefined
      throw error
    }
  }
  return {
    parse: (text) => guarded(() => instance.parse(text)),
    scan: (text) => guarded(() => instance.scan(text)),
  }
}
