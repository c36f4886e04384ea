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

/** A mail: the same in text and in HTML. */
export type Letter = { readonly subject: string; readonly text: string; readonly html: string }

/** Characters of a command; some readers cut a mail of more than 100 KB without saying so. */
const TEXT_MAX = 24 * 1024

export function letterOf(message: Message): Letter {
  const asked = askedText(message)
  const shown = cut(asked, TEXT_MAX)
  const facts = factsOf(message)
  const warnings = warningLines(message)
  const marked = markedText(message, TEXT_MAX)
  const note = shown.length < asked.length ? `${cutNote(shown.length, asked.length)}.` : undefined
  const where = whereTo(message.link, commandFor(message.ticket))
  const head = headline(message)
  return {
    subject: `[Sluice] ${head}`,
    text: [
      head,
      '',
      ...(warnings.length === 0 ? [] : [...warnings, '']),
      ...facts.map(([name, value]) => `${name}: ${value}`),
      '',
      marked,
      ...(note === undefined ? [] : ['', note]),
      '',
      ...where.text,
      '',
    ].join('\n'),
    html: page(
      `<h1 style="font-size:1.2em">${escaped(head)}</h1>
${warnings.map((line) => `<p><strong>${escaped(line)}</strong></p>`).join('')}
<table>${facts.map(([name, value]) => `<tr><td>${escaped(name)}</td><td>${escaped(value)}</td></tr>`).join('')}</table>
<pre style="white-space:pre-wrap;border-left:3px solid #888;padding-left:1em">${escaped(marked)}</pre>
${note === undefined ? '' : `<p><strong>${escaped(note)}</strong></p>`}
<p>${where.html}</p>`,
    ),
  }
}

export function digestLetter({ tickets, more, link }: Digest): Letter {
  const head = `${tickets.length + more} requests wait for approval`
  const lines = [
    ...tickets.map(({ ticket, who, connection }) => `${ticket} on ${connection}: ${cut(who, 200)}`),
    ...(more === 0 ? [] : [`and ${more} more`]),
  ]
  const where = whereTo(link, 'sluice approvals ls')
  return {
    subject: `[Sluice] ${head}`,
    text: [head, '', ...lines, '', ...where.text, ''].join('\n'),
    html: page(
      `<h1 style="font-size:1.2em">${head}</h1><ul>${lines.map((line) => `<li>${escaped(line)}</li>`).join('')}</ul><p>${where.html}</p>`,
    ),
  }
}

function whereTo(
  link: string | undefined,
  command: string,
): { readonly text: string[]; readonly html: string } {
  const typed = `type: ${command}`
  if (link === undefined) return { text: [`To answer, ${typed}`], html: `To answer, ${escaped(typed)}` }
  return {
    text: [`To answer, log in at ${link}`, `or ${typed}`],
    html: `To answer, log in: <a href="${escaped(link)}">${escaped(link)}</a>, or ${escaped(typed)}`,
  }
}

function page(body: string): string {
  return `<!doctype html><html><head><meta charset="utf-8"></head><body style="font-family:sans-serif">${body}</body></html>`
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}
