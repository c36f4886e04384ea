/** What the store's two halves say to each other: the port on the main thread, and the worker that has the file. */

export type SqlValue = string | number | bigint | null | Uint8Array

export type Statement = { readonly sql: string; readonly parameters: readonly SqlValue[] }

/**
 * What became of a statement. The worker sends rows it knows nothing of (`unknown`); the port receives them for
 * whoever asked, and since nobody in between looks into them, their type there is `never`: it fits every query.
 */
export type Outcome<Row> =
  | { readonly kind: 'rows'; readonly rows: Row[]; readonly changes: number }
  /** `code` is SQLite's extended result code, where the fault is SQLite's. */
  | { readonly kind: 'failed'; readonly message: string; readonly code: number | undefined }

export type Request = {
  readonly id: number
  /**
   * `together`: statements of different callers that share one commit; each may fail by itself, and all fail when
   * the commit does. `raw`: one statement as it is, for a transaction that the caller begins and ends itself.
   */
  readonly kind: 'together' | 'raw' | 'close'
  readonly statements: readonly Statement[]
}

/** One outcome for each statement, in order. */
export type Reply<Row> = { readonly id: number; readonly outcomes: readonly Outcome<Row>[] }

export type StoreWorkerData = { readonly path: string; readonly busyMs: number }
