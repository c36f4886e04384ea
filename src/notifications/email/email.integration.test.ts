/** Mail, over a real SMTP server with and without TLS. */
import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { afterEach, describe, expect, it } from 'vitest'
import type { EmailChannel } from '../../config/channel-block.ts'
import type { Secret, SecretRef } from '../../core/index.ts'
import { createCertificates } from '../../net/index.ts'
import { messageFor, secretRef } from '../../testing/approval-messages.ts'
import type { Sender } from '../sender.ts'
import { isPassing } from '../sender.ts'
import { letterOf } from './letter.ts'
import { emailSender } from './sender.ts'

type Mail = {
  readonly from: string
  readonly to: string[]
  readonly isTls: boolean
  readonly user: string | undefined
  readonly text: string
}

const servers: SMTPServer[] = []

afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise<void>((resolve) => server.close(() => resolve()))
})

async function serve(options: SMTPServerOptions): Promise<{ port: number; mails: Mail[] }> {
  const mails: Mail[] = []
  const server = new SMTPServer({
    authOptional: true,
    onAuth: ({ username, password }, _session, done) => {
      if (username === 'sluice' && password === 'right') done(null, { user: username })
      else done(new Error('no'))
    },
    onData: (stream, session, done) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        mails.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          isTls: session.secure,
          user: typeof session.user === 'string' ? session.user : undefined,
          text: Buffer.concat(chunks).toString('utf8'),
        })
        done()
      })
    },
    ...options,
  })
  server.on('error', () => undefined)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  return { port: (server.server.address() as AddressInfo).port, mails }
}

function channel(port: number, rest: Partial<EmailChannel> = {}): EmailChannel {
  return {
    kind: 'email',
    name: 'mail',
    perMinute: 20,
    host: '127.0.0.1',
    port,
    tls: 'none',
    ca: undefined,
    login: undefined,
    from: 'sluice@example.com',
    to: ['ada@example.com', 'bob@example.com'],
    ...rest,
  }
}

function resolve(ref: SecretRef): Promise<Secret> {
  if (ref.kind !== 'literal') throw new Error('no value')
  return Promise.resolve(ref.value)
}

function sender(of: EmailChannel): Sender {
  return emailSender(of, resolve)
}

async function failure(of: EmailChannel): Promise<unknown> {
  return await sender(of)
    .send(messageFor(of), undefined)
    .then(
      () => undefined,
      (error: unknown) => error,
    )
}

/** A part of a mail as it is read. */
function decoded(text: string): string {
  const unfolded = text
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(unfolded, 'latin1').toString('utf8')
}

describe('a mail', () => {
  it('goes to all who are listed, as text and HTML, with the link and an id of its own', async () => {
    const { port, mails } = await serve({ disabledCommands: ['STARTTLS', 'AUTH'] })
    const of = channel(port)
    await sender(of).send(messageFor(of, { text: "DELETE FROM t WHERE a < 1 AND b = '<b>x</b>'" }), undefined)
    const [mail] = mails
    expect(mail).toMatchObject({ from: 'sluice@example.com', to: ['ada@example.com', 'bob@example.com'] })
    const text = decoded(mail?.text ?? '')
    expect(text).toMatch(/^Subject: \[Sluice\] T-7K2M9QXY: approval needed on crm\r$/m)
    expect(text).toMatch(/^Message-ID: <msg_[A-Za-z0-9_-]{26}@example\.com>\r$/m)
    expect(text).toMatch(/^Auto-Submitted: auto-generated\r$/m)
    expect(text).toContain('text/plain')
    expect(text).toContain('text/html')
    expect(text).toContain("\r\n| DELETE FROM t WHERE a < 1 AND b = '<b>x</b>'")
    expect(text).toContain('DELETE FROM t WHERE a &lt; 1 AND b = &#39;&lt;b&gt;x&lt;/b&gt;&#39;')
    expect(text).toContain('https://sluice.example.com/approvals/T-7K2M9QXY')
  })

  it('has no headers but ours, whatever is asked and by whom', async () => {
    const { port, mails } = await serve({ disabledCommands: ['STARTTLS', 'AUTH'] })
    const of = channel(port)
    const evil = 'x\r\nBcc: evil@example.com\r\n\r\n.\r\nMAIL FROM:<evil@example.com>'
    await sender(of).send(
      messageFor(of, {
        text: evil,
        connection: evil as never,
        chain: [{ kind: 'agent', name: evil, issuer: evil, groups: [] }],
      }),
      undefined,
    )
    expect(mails).toHaveLength(1)
    expect(mails[0]?.to).toEqual(of.to)
    const [head = ''] = (mails[0]?.text ?? '').split('\r\n\r\n')
    expect(head).not.toMatch(/^(Bcc|MAIL)/im)
    expect(
      head
        .match(/^[A-Za-z-]+:/gm)
        ?.map((name) => name.toLowerCase())
        .toSorted(),
    ).toEqual([
      'auto-submitted:',
      'content-type:',
      'date:',
      'from:',
      'message-id:',
      'mime-version:',
      'subject:',
      'to:',
    ])
  })

  it('is sent over TLS with the name checked, logged in, or not at all', async () => {
    const made = await createCertificates({ names: ['127.0.0.1'], now: Date.now() })
    const certificate = { key: made.key.reveal(), cert: made.certificate }
    const { port, mails } = await serve({ ...certificate, authOptional: false })
    const login = { user: 'sluice', password: secretRef('right') }
    const of = channel(port, { tls: 'starttls', ca: secretRef(made.authority), login })
    await sender(of).send(messageFor(of), undefined)
    expect(mails).toMatchObject([{ isTls: true, user: 'sluice' }])
    const implicit = await serve({ ...certificate, secure: true })
    const other = channel(implicit.port, { tls: 'implicit', ca: secretRef(made.authority) })
    await sender(other).send(messageFor(other), undefined)
    expect(implicit.mails).toMatchObject([{ isTls: true }])
    // A certificate of somebody else.
    expect(await failure(channel(port, { tls: 'starttls', login }))).toBeInstanceOf(Error)
    const wrong = await failure(
      channel(port, {
        tls: 'starttls',
        ca: secretRef(made.authority),
        login: { user: 'sluice', password: secretRef('wrong-password') },
      }),
    )
    expect(String(wrong)).toContain('does not take this mail (EAUTH')
    expect(String(wrong)).not.toContain('wrong-password')
    expect(isPassing(wrong)).toBe(false)
    expect(mails).toHaveLength(1)
  })

  it('does not leave where a server offers no TLS', async () => {
    const { port, mails } = await serve({ disabledCommands: ['STARTTLS'] })
    const error = await failure(
      channel(port, { tls: 'starttls', login: { user: 'sluice', password: secretRef('right') } }),
    )
    expect(error).toBeInstanceOf(Error)
    expect(mails).toEqual([])
  })

  it('that is turned away for now is sent later, and one that is turned away for good is not', async () => {
    const answers = (responseCode: number) =>
      serve({
        disabledCommands: ['STARTTLS', 'AUTH'],
        onRcptTo: (_address, _session, done) =>
          done(Object.assign(new Error('SECRET TEXT'), { responseCode })),
      })
    const later = await failure(channel((await answers(451)).port))
    expect(isPassing(later)).toBe(true)
    const never = await failure(channel((await answers(550)).port))
    expect(isPassing(never)).toBe(false)
    expect(`${String(later)}${String(never)}`).not.toContain('SECRET')
    expect(isPassing(await failure(channel(1)))).toBe(true)
  })

  it('reads no file and asks for no address that a text may name', async () => {
    const { port, mails } = await serve({ disabledCommands: ['STARTTLS', 'AUTH'] })
    const of = channel(port)
    await sender(of).send(
      messageFor(of, { text: '{"path": "/etc/passwd", "href": "http://127.0.0.1:1/"}' }),
      undefined,
    )
    expect(decoded(mails[0]?.text ?? '')).toContain('/etc/passwd')
    expect(mails[0]?.text).not.toContain('root:')
  })

  it('J-04: says how much of a long command it shows', () => {
    const { text, html } = letterOf(messageFor(channel(1), { text: 'a'.repeat(100_000) }))
    for (const each of [text, html]) expect(each).toContain('cut: 24,576 of 100,000 characters are shown.')
  })

  it('names many requests at once', async () => {
    const { port, mails } = await serve({ disabledCommands: ['STARTTLS', 'AUTH'] })
    await sender(channel(port)).digest?.({
      tickets: [{ ticket: 'T-1', who: 'agent:<a>', connection: 'crm' }],
      more: 4,
      link: undefined,
    })
    expect(decoded(mails[0]?.text ?? '')).toMatch(
      /Subject: \[Sluice\] 5 requests wait for approval[\s\S]*and 4 more/,
    )
  })
})
