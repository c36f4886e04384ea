/**
 * How many rows a command that was approved may change, in all tables together: what triggers, cascades and parts of WITH change
 * counts. Both ends are among them.
 */
export type EffectBound = { readonly least: number; readonly most: number }

/** How many rows a command may change, as an approver says it: so many, or as many more or fewer as is tolerated. */
export type ChosenEffect = { readonly rows: number; readonly tolerance: number }

/** Whether what a command changes can be counted before it takes effect; `why` not is for people. */
export type Countable = { readonly can: true } | { readonly can: false; readonly why: string }

/** What the server says a command has changed; undefined: it could not be counted, and so is not what was approved. */
export function isWithinEffect({ least, most }: EffectBound, rows: number | undefined): boolean {
  return rows !== undefined && rows >= least && rows <= most
}

/** `12 rows`, `10 to 14 rows`. */
export function effectText({ least, most }: EffectBound): string {
  return least === most ? `${least} ${least === 1 ? 'row' : 'rows'}` : `${least} to ${most} rows`
}
