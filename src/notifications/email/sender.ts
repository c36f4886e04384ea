import type { Transporter } from 'nodemailer'
import type { EmailChannel } from '../../config/channel-block.ts'
import { LIMITS } from '../../core/index.ts'
import type { ResolveSecret, Sender } from '../sender.ts'
import { refused, undelivered } from '../sender.ts'
import { digestLetter, type Letter, letterOf } from './letter.ts'

/** Calls people by mail, over SMTP (RFC 5321) with TLS: RFC 3207 for STARTTLS, which is insisted on. */
export function emailSender(channel: EmailChannel, resolve: ResolveSecret): Sender {
  const deliver = async ({ subject, text, html }: Letter, id: string | undefined): Promise<void> => {
    const transport = await transportFor(channel, resolve)
    try {
      await transport.sendMail({
        from: { name: 'Sluice', address: channel.from },
        to: channel.to.map((address) => ({ name: '', address })),
        subject,
        text,
        html,
        ...(id === undefined ? {} : { messageId: `<${id}@${channel.from.split('@')[1]}>` }),
        // RFC 3834 section 5: nobody's absence answers it.
        headers: { 'Auto-Submitted': 'auto-generated' },
        disableFileAccess: true,
        disableUrlAccess: true,
      })
    } catch (error) {
      throw faultOf(channel.host, error)
    } finally {
      transport.close()
    }
  }
  return {
    async send(message) {
      await deliver(letterOf(message), message.id)
      return {}
    },
    digest: (digest) => deliver(digestLetter(digest), undefined),
    close: () => Promise.resolve(),
  }
}

async function transportFor(
  { host, port, tls, ca, login }: EmailChannel,
  resolve: ResolveSecret,
): Promise<Transporter> {
  // Loaded here, because most gateways send no mail.
  const { createTransport } = await import('nodemailer')
  const authority = ca === undefined ? undefined : (await resolve(ca)).reveal()
  return createTransport({
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    ...(login === undefined
      ? {}
      : { auth: { user: login.user, pass: (await resolve(login.password)).reveal() } }),
    tls: { minVersion: 'TLSv1.2', ...(authority === undefined ? {} : { ca: authority }) },
    connectionTimeout: LIMITS.notificationAnswerMs,
    greetingTimeout: LIMITS.notificationAnswerMs,
    socketTimeout: LIMITS.notificationAnswerMs,
    dnsTimeout: LIMITS.notificationAnswerMs,
  })
}

/** RFC 5321 section 4.2.1: 4yz may pass, 5yz will not. What the server says is left out: it may repeat what was sent. */
function faultOf(host: string, error: unknown): Error {
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'ESMTP'
  const answered =
    error instanceof Error && 'responseCode' in error && typeof error.responseCode === 'number'
      ? error.responseCode
      : 0
  if (code === 'EAUTH' || answered >= 500) {
    return refused(
      `${host} does not take this mail (${code}${answered === 0 ? '' : ` ${answered}`}).`,
      'Look at user, password, from and to of this channel.',
    )
  }
  if (code === 'ETLS') {
    return refused(
      `${host} offers no TLS that can be trusted.`,
      'Look at tls and ca of this channel: without TLS no mail leaves this machine.',
    )
  }
  return undelivered(`${host} cannot be reached (${code}).`, { cause: error })
}
