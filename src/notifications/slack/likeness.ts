/**
 * Whether what people saw is what was sent. Slack gives a message back with a click; it may write texts and addresses in another
 * way and add settings that are off. Anything else that is there and was not sent makes it another message.
 */
export function isSame(sent: readonly unknown[], seen: readonly unknown[]): boolean {
  return JSON.stringify(sent.map(essence)) === JSON.stringify(seen.map(essence))
}

/** How a text is shown, and not what: https://docs.slack.dev/reference/block-kit/composition-objects/text-object */
const SETTINGS: ReadonlySet<string> = new Set(['verbatim', 'emoji'])

function essence(value: unknown): unknown {
  if (typeof value === 'string') return unmarked(value)
  if (Array.isArray(value)) return value.map(essence)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .filter(([name, each]) => !SETTINGS.has(name) && each !== false && each !== null && each !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, each]) => [name, essence(each)])
}

/**
 * Slack shows what stands in angle brackets as something else (a link by its label, a date, a name), and a bracket itself only
 * where it is escaped: https://docs.slack.dev/messaging/formatting-message-text. An address that Slack put into brackets loses
 * them; all other brackets that are no text are told apart from those that are by a character that no text has.
 */
function unmarked(text: string): string {
  return text
    .replaceAll('\0', '\ufffd')
    .replace(/<((?:https?|mailto):[^|<>]*)>/g, '$1')
    .replaceAll('<', '\0<')
    .replaceAll('>', '\0>')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
}
