import type { LabelName } from '../../../core/index.ts'
import type { Permitted, Session } from '../../../session/index.ts'
import { decodeServer, SERVER_TYPES } from '../../../wire/postgres/index.ts'
import type { Pending } from '../pending.ts'
import { sealedLabels } from '../requests/recorded.ts'
import type { ConversationState } from '../state.ts'
import type { ReplySurroundings } from './reply-surroundings.ts'

/** From here on the server takes rows of COPY for this command: they are recorded, and looked through where labels say so. */
export function copyInBegins(
  around: { readonly state: ConversationState; readonly session: Session } & Pick<
    ReplySurroundings,
    'copyBegins'
  >,
  flight: Permitted | undefined,
  buffer: Buffer,
  start: number,
  end: number,
): void {
  const { state, session } = around
  const message = decodeServer(SERVER_TYPES.copyInResponse, buffer, start, end)
  const head = state.pending.first()
  if (message.kind === 'copyInResponse' && flight !== undefined && state.copy !== undefined) {
    state.copy.input = session.input(flight, labelsOf(flight))
    const search = around.copyBegins(flight, head?.kind === 'query' ? head.statement : 0, message)
    if (search !== undefined) state.copySearch = { search, flight }
  }
  // Rows that came early wait to be looked through.
  state.wake()
}

/** A command has been answered: what waited for how its COPY ends can go on. */
export function copyInEnds(state: ConversationState, of: Pending): void {
  if (state.copy?.of !== of) return
  state.copy = undefined
  state.copySearch = undefined
  state.wake()
}

/** Which column a value goes into is not told apart: rows for labelled ones are sealed whole, under all labels of the command. */
function labelsOf({ command, judgement }: Permitted): readonly LabelName[] {
  return [...new Set([...(command.recorded?.labels ?? []), ...sealedLabels(judgement)])].sort()
}
