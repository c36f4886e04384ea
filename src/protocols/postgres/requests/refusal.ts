import { encodeClient } from '../../../wire/postgres/index.ts'

/**
 * A refusal inside a transaction, or behind messages that are still unanswered, has to fail both sides in the same
 * place: a statement that is certain to fail goes upstream in place of the refused one, and its error is replaced by
 * ours. It cannot be parsed, so it reads and changes nothing.
 */
const CERTAIN_TO_FAIL = Buffer.from('/* refused by the gateway */ )')

export const FAILING_QUERY = encodeClient({ kind: 'query', sql: CERTAIN_TO_FAIL })

/** Under a name of its own, because a Parse that fails drops the unnamed statement. */
export const FAILING_PARSE = encodeClient({
  kind: 'parse',
  statement: 'sluice_refused',
  sql: CERTAIN_TO_FAIL,
  parameterTypes: [],
})
