import { showLookAlikes } from './look-alikes.ts'
import { HIDDEN_CHARACTERS } from './parameters.ts'

/** One line of text in which everything shows: `\u{1b}` for an escape character, `\n` for a newline. */
export function safe(text: string): string {
  return text.replace(HIDDEN_CHARACTERS, (character) => {
    if (character === '\n') return '\\n'
    if (character === '\r') return '\\r'
    if (character === '\t') return '\\t'
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
  })
}

/** The same for text of several lines: its newlines stay, and its tabs become spaces. */
export function safeText(text: string): string {
  return text.replaceAll('\t', '    ').split(/\r?\n/).map(safe).join('\n')
}

/** The same for who has to judge it: letters that look like others show, too. */
export function reviewed(text: string): string {
  return safe(showLookAlikes(text))
}

export function reviewedText(text: string): string {
  return safeText(showLookAlikes(text))
}
