import { join } from 'node:path'
import { ApiClient, OPERATOR_SOCKET } from '../api/client.ts'

/** Options that every command has. */
export type Common = { readonly data: string; readonly json?: boolean }

export const DEFAULT_DATA = '.sluice/data'

/** Speaks to the gateway whose data directory this is. */
export function operatorClient(common: Common): ApiClient {
  return new ApiClient({ kind: 'socket', path: join(common.data, OPERATOR_SOCKET) })
}

/** A line for people, or the whole answer as one line of JSON. */
export function print(common: Common, answer: unknown, text: () => string): void {
  process.stdout.write(common.json === true ? `${JSON.stringify(answer)}\n` : `${text()}\n`)
}
