/** Where masked rows go. */
export type RowTarget = (bytes: Buffer, start: number, end: number) => void
