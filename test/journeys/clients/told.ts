/**
 * What the Node clients share that are told what to do while they run: a line in is `ID DO TEXT...`, separated by tabs; a
 * line out is JSON with the ID and the rows, or with the driver's own error.
 */
import { createInterface } from 'node:readline'

export type Rows = readonly (readonly unknown[])[]

export type ToldDriver = {
  /** One statement; its parameters are `$1` and so on. */
  run(sql: string, values: readonly string[]): Promise<Rows>
  /** The first by itself; then the others at once, none of which waits for the one before. Gives the rows of the last. */
  together(first: string, others: readonly string[]): Promise<Rows>
  /** What the driver offers to have the running statement given up. */
  cancel?: () => void
}

export async function serve(driver: ToldDriver): Promise<void> {
  const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
  say({ id: 0, rows: [] })
  for await (const line of createInterface({ input: process.stdin })) {
    const [id, verb, text = '', ...more] = line.split('\t')
    if (verb === 'cancel') driver.cancel?.()
    else {
      const done = verb === 'together' ? driver.together(text, more) : driver.run(text, more)
      done.then(
        (rows) => say({ id: Number(id), rows: rows.map((row) => row.map(String)) }),
        (error: unknown) =>
          say({
            id: Number(id),
            code: Reflect.get(Object(error), 'code') ?? '',
            message: error instanceof Error ? error.message : String(error),
          }),
      )
    }
  }
  process.exit(0)
}

/** All of them, whatever becomes of one; then the first that failed, or the last one's rows. */
export async function lastOf(each: readonly Promise<Rows>[]): Promise<Rows> {
  await Promise.allSettled(each)
  return (await Promise.all(each)).at(-1) ?? []
}
