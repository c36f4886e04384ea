import {
  askedText,
  commandFor,
  cut,
  cutNote,
  type Digest,
  factsOf,
  headline,
  markedText,
  type Message,
  warningLines,
} from '../message.ts'

/**
 * A card for a Teams workflow ("When a Teams webhook request is received"):
 * https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using.
 * Words of others stand in text runs, in which no mark-up works: https://adaptivecards.io/explorer/TextRun.html
 */
export function cardOf(message: Message): string {
  const asked = askedText(message)
  const facts = factsOf(message).map(([name, value]) => `${name}: ${value}`)
  return posted(message.link, (room) => {
    const shown = cut(asked, room)
    return [
      block(headline(message), { weight: 'Bolder' }),
      ...warningLines(message).map((line) => block(line, { weight: 'Bolder' })),
      block(facts.join('\n'), {}),
      block(markedText(message, room), { fontType: 'Monospace' }),
      ...(shown.length < asked.length
        ? [block(`${cutNote(shown.length, asked.length)}.`, { weight: 'Bolder' })]
        : []),
      block(
        `To answer, log in${message.link === undefined ? '' : ' there'}, or type: ${commandFor(message.ticket)}`,
        {},
      ),
    ]
  })
}

export function digestCard({ tickets, more, link }: Digest): string {
  const lines = tickets.map(({ ticket, who, connection }) => `${ticket} on ${connection}: ${cut(who, 100)}`)
  return posted(link, () => [
    block(`${tickets.length + more} requests wait for approval`, { weight: 'Bolder' }),
    block([...lines, ...(more === 0 ? [] : [`and ${more} more`])].join('\n'), {}),
  ])
}

/** "The message size limit is 28 KB", counted as it is sent; escaping makes characters longer. */
const CARD_BYTES_MAX = 26 * 1024
const TEXT_MAX = 16 * 1024

function posted(link: string | undefined, body: (room: number) => readonly unknown[]): string {
  for (let room = TEXT_MAX; ; room = Math.floor(room / 2)) {
    const card = {
      $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
      type: 'AdaptiveCard',
      version: '1.4',
      body: body(room),
      actions: link === undefined ? [] : [{ type: 'Action.OpenUrl', title: 'Open it', url: link }],
      msteams: { width: 'Full' },
    }
    const attachment = {
      contentType: 'application/vnd.microsoft.card.adaptive',
      contentUrl: null,
      content: card,
    }
    const json = JSON.stringify({ type: 'message', attachments: [attachment] })
    if (Buffer.byteLength(json) <= CARD_BYTES_MAX || room < 1) return json
  }
}

/** Lines one below the other: a run does not break. */
function block(text: string, style: Readonly<Record<string, string>>): unknown {
  const lines = text.split('\n')
  const inlines = lines.map((line, index) => ({
    type: 'TextRun',
    text: index < lines.length - 1 ? `${line}\n` : line,
    ...style,
  }))
  return { type: 'RichTextBlock', inlines }
}
