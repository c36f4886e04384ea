import { setTimeout as sleep } from 'node:timers/promises'

/** Asks again and again until `check` returns something true, and says what it waited for when it never does. */
export async function eventually<T>(
  what: string,
  check: () => T | Promise<T>,
  msMax = 10_000,
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const deadline = Date.now() + msMax
  let last: unknown
  for (;;) {
    try {
      const found = await check()
      if (isThere(found)) return found
      last = found
    } catch (error) {
      last = error
    }
    if (Date.now() > deadline) {
      throw new Error(`waited ${msMax} ms in vain for ${what}; last: ${String(last)}`, { cause: last })
    }
    await sleep(20)
  }
}

function isThere<T>(value: T): value is Exclude<T, false | null | undefined | 0 | ''> {
  return Boolean(value)
}
