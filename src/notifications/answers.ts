import { z } from 'zod'
import type { Approval, Approvals } from '../approvals/index.ts'
import { throughChannel } from '../approvals/index.ts'
import type { ChannelBlock, SlackChannel, WebhookChannel } from '../config/channel-block.ts'
import type { Clock, Identity, Secret, Ticket } from '../core/index.ts'
import { asGatewayError, brand, GatewayError, LIMITS, safe } from '../core/index.ts'
import { eventsOf } from './events.ts'
import { messageOf } from './message.ts'
import type { NotificationStore } from './port.ts'
import { Poster } from './post.ts'
import type { ResolveSecret } from './sender.ts'
import { SlackApi } from './slack/api.ts'
import { announcement, escaped, hasButtons } from './slack/blocks.ts'
import { type Click, clickOf } from './slack/click.ts'
import { isSame } from './slack/likeness.ts'
import { slackVerified } from './slack/signature.ts'
import { isWhole } from './webhook/payload.ts'
import { verified } from './webhook/sign.ts'

export type ChannelAnswersOptions = {
  readonly channels: () => ReadonlyMap<string, ChannelBlock>
  readonly approvals: Pick<Approvals, 'find' | 'answer'>
  readonly store: Pick<NotificationStore, 'claim' | 'get'>
  readonly clock: Clock
  readonly resolve: ResolveSecret
  readonly isBlocked: (person: Identity) => boolean
  readonly publicUrl: () => string | undefined
  readonly report: (error: unknown) => void
}

/** What came over HTTP, before anything of it was believed: signatures are over its very bytes. */
export type SignedRequest = {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly bytes: Uint8Array
}

/** Something that a channel has said under its signature, and that has not counted yet. */
export type ChannelAnswer = {
  /** `channel:NAME` */
  readonly by: string
  readonly ticket: Ticket
  readonly verdict: 'approve' | 'refuse'
}

type Read<Channel> = ChannelAnswer & {
  readonly channel: Channel
  readonly messageId: string
  readonly user: string
}

const bodySchema = z.strictObject({
  type: z.literal('approval.answer'),
  ticket: z.string().min(1).max(32),
  verdict: z.enum(['approve', 'refuse']),
  /** Who answered, as that system calls them. */
  user: z.string().min(1).max(128),
  reason: z.string().min(1).max(LIMITS.answerReasonMax).optional(),
})

/**
 * Answers that come through channels. A message counts if it is signed, fresh and new; an answer, if the person behind it may give
 * it there. What may be answered so at all is for `approvals` to say; that all of it was shown is checked here.
 */
export class ChannelAnswers {
  readonly #options: ChannelAnswersOptions
  readonly #poster = new Poster()

  constructor(options: ChannelAnswersOptions) {
    this.#options = options
  }

  close(): Promise<void> {
    return this.#poster.close()
  }

  /** What a system posted, by its signature alone. Throws `not_found`, `unauthenticated`, `invalid`. */
  async webhook(name: string, request: SignedRequest): Promise<ChannelAnswer> {
    return await this.#readWebhook(name, request)
  }

  /** Makes it an answer. Throws `conflict` for a message that was here before, `denied`, and as `Approvals.answer`. */
  async answerWebhook(name: string, request: SignedRequest): Promise<Approval> {
    const read = await this.#readWebhook(name, request)
    const approval = await this.#claimed(read)
    const { channel, reason } = read
    // What was sent to it had the whole command, or it cannot know what it answers.
    if (!isWhole(this.#message(approval, channel))) throw notHere(approval.ticket)
    return await this.#answer(read, reason)
  }

  /** The same for what Slack posted. */
  async click(name: string, request: SignedRequest): Promise<ChannelAnswer> {
    return await this.#readClick(name, request)
  }

  /** A person clicked. What is wrong with that is told to them, there; it throws for nobody. */
  async answerClick(name: string, request: SignedRequest): Promise<void> {
    const read = await this.#readClick(name, request)
    try {
      const approval = await this.#claimed(read)
      await this.#checkMessage(approval, read)
      await this.#answer(read)
    } catch (error) {
      const { message, remedy, code } = asGatewayError(error)
      if (code === 'internal') this.#options.report(error)
      this.#tell(read.channel, read.user, remedy === undefined ? message : `${message} ${remedy}`)
    }
  }

  async #readWebhook(
    name: string,
    { headers, bytes }: SignedRequest,
  ): Promise<Read<WebhookChannel> & { readonly reason: string | undefined }> {
    const channel = this.#options.channels().get(name)
    if (channel?.kind !== 'webhook' || channel.answers === undefined) throw unknownChannel()
    const secrets = await Promise.all(channel.answers.secrets.map((ref) => this.#options.resolve(ref)))
    const messageId = verified(secrets, headers, bytes, this.#options.clock.now())
    const read = bodySchema.safeParse(parsed(bytes))
    if (!read.success) {
      throw new GatewayError('invalid', 'The body is no answer.', {
        remedy:
          'It is JSON: type "approval.answer", ticket, verdict "approve" or "refuse", user, perhaps reason.',
      })
    }
    const { ticket, verdict, user, reason } = read.data
    return {
      by: throughChannel(name),
      ticket: brand<Ticket>(ticket),
      verdict,
      user,
      reason,
      channel,
      messageId,
    }
  }

  async #readClick(name: string, { headers, bytes }: SignedRequest): Promise<Read<SlackChannel> & Click> {
    const channel = this.#options.channels().get(name)
    if (channel?.kind !== 'slack' || channel.answers === undefined) throw unknownChannel()
    const secret: Secret = await this.#options.resolve(channel.answers.signingSecret)
    const messageId = slackVerified(secret, headers, bytes, this.#options.clock.now())
    const click = clickOf(bytes)
    return { ...click, by: throughChannel(name), ticket: brand<Ticket>(click.ticket), channel, messageId }
  }

  /** Counts a message once, whatever becomes of it, and gives what it is about. */
  async #claimed({ channel, messageId, ticket }: Read<ChannelBlock>): Promise<Approval> {
    const { store, clock, approvals } = this.#options
    // Longer than its signature is good for, by whatever clock.
    const until = clock.now() + 4 * LIMITS.channelAnswerMs
    const isNew = await store.claim(channel.name, messageId, until)
    const approval = await approvals.find(ticket)
    if (!isNew) {
      const stands = approval === undefined ? '' : ` ${ticket} is ${approval.state}.`
      throw new GatewayError('conflict', `This message was here before, and counts once.${stands}`, {
        ticket,
      })
    }
    if (approval === undefined) throw new GatewayError('not_found', 'There is no such approval request.')
    return approval
  }

  /** That the click was on our message about this ticket, and that nobody has changed what it says. */
  async #checkMessage(
    approval: Approval,
    { channel, ref, blocks, hasMore }: Read<SlackChannel> & Click,
  ): Promise<void> {
    const { ticket, state } = approval
    if (state !== 'pending') {
      throw new GatewayError('conflict', `${ticket} is ${state} already.`, { ticket })
    }
    const message = this.#message(approval, channel)
    const posted = await this.#options.store.get(message.id)
    if (posted?.ref !== ref) {
      throw new GatewayError('denied', `This is not the message that asks about ${ticket}.`, {
        ticket,
        remedy: `Somebody else may have posted it. Look at the request yourself: sluice approvals show ${ticket}`,
      })
    }
    if (!hasButtons(message)) throw notHere(ticket)
    if (hasMore || !isSame(announcement(message).blocks, blocks)) {
      throw new GatewayError('denied', `This message does not say what was asked with ${ticket}.`, {
        ticket,
        remedy: `Somebody may have changed it. Look at the request yourself: sluice approvals show ${ticket}`,
      })
    }
  }

  async #answer(
    { channel, user, ticket, verdict, by }: Read<WebhookChannel | SlackChannel>,
    reason?: string,
  ): Promise<Approval> {
    const { approvals, clock, isBlocked } = this.#options
    const person = channel.answers?.people.get(user)
    if (person === undefined || isBlocked(person)) {
      throw new GatewayError('denied', `${safe(user)} is nobody who answers here.`, {
        ticket,
        remedy: `An administrator writes down who that is, under answers.people of the channel ${channel.name}.`,
      })
    }
    return await approvals.answer(ticket, {
      verdict,
      proof: { chain: [person], at: clock.now(), method: 'channel' },
      through: by,
      ...(reason === undefined ? {} : { reason }),
    })
  }

  /** As it was announced. */
  #message(approval: Approval, channel: ChannelBlock) {
    const [first] = eventsOf(approval)
    if (first === undefined) throw new Error('a request without a beginning')
    return messageOf(approval, first, channel, this.#options.publicUrl())
  }

  #tell(channel: SlackChannel, user: string, text: string): void {
    const api = new SlackApi(channel, this.#poster, this.#options.resolve)
    const block = {
      type: 'section',
      text: { type: 'plain_text', text: escaped(text).slice(0, 3_000), emoji: false },
    }
    api.tell(user, { text: escaped(text), blocks: [block] }).catch(this.#options.report)
  }
}

function notHere(ticket: Ticket): GatewayError {
  return new GatewayError('denied', `${ticket} is not answered through this channel.`, {
    ticket,
    remedy: `Log in and answer: sluice approvals show ${ticket}`,
  })
}

function unknownChannel(): GatewayError {
  return new GatewayError('not_found', 'Nobody answers through such a channel here.', {
    remedy: 'The channel needs answers in the configuration, and is named in the address.',
  })
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
}
