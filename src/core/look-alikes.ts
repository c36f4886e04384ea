/**
 * Letters that look like others. Between scripts they cannot be told apart by eye (Unicode Technical Standard 39, mixed
 * scripts), and some are variants of ASCII letters that no font shows as such.
 */

/** A name, a keyword, a word of a text. */
const WORD = /[\p{L}\p{M}\p{N}_$]+/gu
/** Scripts with letters that look like those of another of them. Words that mix others (Japanese does) are left alone. */
const SCRIPTS = [
  /\p{Script=Latin}/u,
  /\p{Script=Cyrillic}/u,
  /\p{Script=Greek}/u,
  /\p{Script=Coptic}/u,
  /\p{Script=Armenian}/u,
  /\p{Script=Cherokee}/u,
  /\p{Script=Lisu}/u,
]
/** Words of these letters alone look as if they were Latin. */
const ALL_ALIKE = /^[\d_$аеорсухіјѕһӏԁԛԝүАВЕЅІЈКМНОРСТУХҮԌᎪᏴᏟᎠᎬᏀᎻᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᏃοαινκρυΑΒΕΖΗΙΚΜΝΟΡΤΥΧոսօհց]*$/u
/** Latin letters that are made to look like ASCII ones: dotless, long, phonetic and small capitals. */
const LATIN_ALIKE = /[ıſȷɐ-ʯᴀ-ᶿ]/u
/** Where letters and digits are that Unicode has as variants of others. */
const VARIANTS =
  /[\u2071\u207f\u2090-\u209c\u2100-\u214f\u2160-\u2188\ufb00-\ufb06\uff10-\uff5a\u{1d400}-\u{1d7ff}]/u
const ASCII_LETTER = /[A-Za-z]/
const ASCII = /^[\0-\x7f]*$/

/** The text with such letters spelled out: `\u{430}` for a Cyrillic a in a word that is Latin otherwise. */
export function showLookAlikes(text: string): string {
  return ASCII.test(text) ? text : text.replace(WORD, shownWord)
}

function shownWord(word: string): string {
  if (ASCII.test(word)) return word
  const isAlike = ALL_ALIKE.test(word) || SCRIPTS.filter((script) => script.test(word)).length > 1
  const isPhonetic = LATIN_ALIKE.test(word) && ASCII_LETTER.test(word)
  if (!isAlike && !isPhonetic && !VARIANTS.test(word)) return word
  return Array.from(word, (letter) =>
    ASCII.test(letter) || !(isAlike || isVariant(letter) || (isPhonetic && LATIN_ALIKE.test(letter)))
      ? letter
      : `\\u{${(letter.codePointAt(0) ?? 0).toString(16)}}`,
  ).join('')
}

/** A full-width or mathematical letter or digit is read as the ASCII one that it is a variant of. */
function isVariant(letter: string): boolean {
  return VARIANTS.test(letter) && /^[A-Za-z0-9]+$/.test(letter.normalize('NFKC'))
}
