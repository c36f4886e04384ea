/** What a benchmark was asked for on the command line. */
export type BenchOptions = {
  /** Everything in under two minutes: fewer rounds, smaller counts, the same scenarios. */
  readonly quick: boolean
  /** Print the results as one line of JSON at the end. */
  readonly json: boolean
  /** Where results are kept below bench/results; `latest/` is not under version control. */
  readonly name: string | undefined
  readonly only: readonly string[] | undefined
  readonly targets: readonly string[] | undefined
  /** Write the figures into docs/benchmarks.md. */
  readonly document: boolean
}
