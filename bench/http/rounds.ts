/** Measures every target once in each round, another one first each time: what disturbs the machine disturbs neighbours alike. */
export async function inRounds<T extends { readonly name: string }, R>(
  targets: readonly T[],
  rounds: number,
  measure: (target: T) => Promise<R>,
): Promise<ReadonlyMap<T['name'], readonly R[]>> {
  const found = new Map<T['name'], R[]>()
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < targets.length; i++) {
      const target = targets[(i + round) % targets.length]
      if (target === undefined) continue
      found.set(target.name, [...(found.get(target.name) ?? []), await measure(target)])
    }
  }
  return found
}
