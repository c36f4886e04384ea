/**
 * Memory for results on their way out, used again and again. A block of its own for every piece would be memory outside
 * the heap that only a collection of the whole heap gives back: a stream of 100 MB/s has one collected three times a
 * second, at 10 ms each for everybody.
 */

/** Pieces come by what one read brought, as they are or a little longer when masked; larger ones are rare. */
const SIZES = [32 * 1024, 72 * 1024, 144 * 1024] as const
/** Blocks of each size that are kept while nobody uses them. */
const KEPT = 24

const free: Buffer[][] = SIZES.map(() => [])

/** A block of at least `bytes`; undefined when none of the sizes is that large. What was in it is still there. */
export function takeBlock(bytes: number): Buffer | undefined {
  const size = SIZES.findIndex((each) => each >= bytes)
  const bytesOfSize = SIZES[size]
  if (bytesOfSize === undefined) return undefined
  return free[size]?.pop() ?? Buffer.allocUnsafeSlow(bytesOfSize)
}

/** The block is needed no more. Give each one once. */
export function giveBlock(block: Buffer): void {
  const kept = free[SIZES.findIndex((each) => each === block.length)]
  if (kept !== undefined && kept.length < KEPT) kept.push(block)
}
