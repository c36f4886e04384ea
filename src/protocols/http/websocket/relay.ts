import { GatewayError, isGatewayError } from '../../../core/index.ts'
import type { LabelName } from '../../../core/index.ts'
import type { Permitted, Session } from '../../../session/index.ts'
import type { MessageWatch } from '../../../upstream-credentials/index.ts'
import type { AnswerKeeper } from '../answers/keeper.ts'
import { unreachable } from '../upstream/upstream.ts'
import type { MessageSocket } from './message-socket.ts'
import type { Closing, Message } from './messages.ts'
import { recordedClosing, recordedMessage } from './messages.ts'
import type { Standing } from './standing.ts'

export type RelayParts = {
  readonly session: Session
  readonly permit: Permitted
  readonly client: MessageSocket
  readonly upstream: MessageSocket
  readonly standing: Standing
  readonly watch: MessageWatch
  readonly keeper: AnswerKeeper
  /** Under these, messages are sealed in the recording. */
  readonly labels: readonly LabelName[]
  /** Ended from outside. */
  readonly signal: AbortSignal
}

/**
 * Passes messages both ways until a side ends, each of them recorded before it goes on, and tells the other side. Throws GatewayError
 * for what may not go on; then nothing more goes either way.
 */
export async function relayMessages(parts: RelayParts): Promise<void> {
  const { client, upstream, signal } = parts
  const stop = (): void => {
    client.stop()
    upstream.stop()
  }
  signal.addEventListener('abort', stop)
  const both = [fromClient(parts), fromUpstream(parts)]
  try {
    await Promise.race(both)
  } finally {
    stop()
    await Promise.allSettled(both)
    signal.removeEventListener('abort', stop)
  }
}

async function fromClient(parts: RelayParts): Promise<void> {
  const { session, permit, client, upstream, standing, labels, signal } = parts
  const input = session.input(permit, labels)
  let isDone = false
  const record = async (line: Buffer): Promise<void> => {
    input.push(line, 0, line.length)
    await session.afterTurn()
    refuseEnded(signal)
  }
  try {
    for (let message = await client.next(); message !== undefined; message = await client.next()) {
      standing.check()
      await record(recordedMessage(message))
      await upstream.send(message)
    }
    refuseEnded(signal)
    if (client.failure !== undefined) throw unreadable(client.failure)
    if (client.closing === undefined) return
    await record(recordedClosing(client.closing))
    upstream.close(passedOn(client.closing))
    isDone = true
  } finally {
    input.end(isDone ? 'done' : 'cut')
  }
}

async function fromUpstream(parts: RelayParts): Promise<void> {
  const { permit, client, upstream, standing, watch, keeper, labels, signal } = parts
  const keep = async (line: Buffer): Promise<void> => {
    if (labels.length > 0) permit.quotes(labels)
    await keeper.keep(line)
    refuseEnded(signal)
  }
  const shown = (message: Message): Message => {
    const masked = standing.masks().apply(message)
    watch.check(masked.data)
    return masked
  }
  for (let message = await upstream.next(); message !== undefined; message = await upstream.next()) {
    const masked = shown(message)
    await keep(recordedMessage(masked))
    await client.send(masked)
  }
  refuseEnded(signal)
  if (upstream.failure !== undefined) throw unreachable(upstream.failure)
  if (upstream.closing === undefined) return
  const { code } = upstream.closing
  if (code === BROKEN) throw unreachable(new Error('the line broke'))
  // Nobody looks for protected fields in what is said at the end.
  const reason = standing.masks().isNeeded ? '' : upstream.closing.reason
  watch.check(Buffer.from(reason))
  await keep(recordedClosing({ code, reason }))
  client.close({ code, reason })
}

/** RFC 6455 section 7.4.1: a line that ended without a word. */
const BROKEN = 1006
const GOING_AWAY = 1001

/** A client that is gone says nothing, and its upstream is told that. */
function passedOn({ code, reason }: Closing): Closing {
  return code === BROKEN ? { code: GOING_AWAY, reason: '' } : { code, reason }
}

function refuseEnded(signal: AbortSignal): void {
  if (!signal.aborted) return
  throw isGatewayError(signal.reason) ? signal.reason : new GatewayError('canceled', 'The client went away.')
}

function unreadable(cause: Error): GatewayError {
  const isTooMuch = 'code' in cause && TOO_MUCH.has(String(cause.code))
  return isTooMuch
    ? new GatewayError('limit_exceeded', 'Send shorter messages, in fewer frames.', {
        retry: 'only-if-changed',
        cause,
      })
    : new GatewayError('protocol_violation', 'Write frames as RFC 6455 has them.', {
        retry: 'only-if-changed',
        cause,
      })
}

const TOO_MUCH: ReadonlySet<string> = new Set([
  'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
  'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH',
  'WS_ERR_TOO_MANY_BUFFERED_PARTS',
])
