/**
 * The forms in which a secret may stand in an answer: as it is, in either case, backwards, escaped for URLs (RFC 3986 section 2.1),
 * forms, JSON (RFC 8259 section 7) and HTML, in base64 of both alphabets at any of its three offsets (RFC 4648 sections 4 and 5),
 * in hexadecimal and in UTF-16. Every other code, and these nested in each other, goes unseen.
 */
export function spellingsOf(secret: string): readonly Buffer[] {
  const bytes = Buffer.from(secret, 'utf8')
  const found = new Set<string>()
  const add = (...texts: readonly string[]): void => {
    for (const text of texts) if (text !== '') found.add(Buffer.from(text, 'utf8').toString('latin1'))
  }
  add(secret, secret.toUpperCase(), secret.toLowerCase(), [...secret].reverse().join(''))
  add(...urlForms(secret, bytes), ...jsonForms(secret), ...htmlForms(secret))
  for (const text of base64Forms(bytes)) {
    add(text, encodeURIComponent(text), lowerEscapes(encodeURIComponent(text)), text.replaceAll('/', '\\/'))
  }
  const hex = bytes.toString('hex')
  const pairs = hex.match(/../g) ?? []
  add(hex, hex.toUpperCase(), pairs.join(' '), pairs.join(':'), pairs.join(':').toUpperCase())
  add(pairs.map((pair) => `\\x${pair}`).join(''))
  const wide = Buffer.from(secret, 'utf16le')
  found.add(wide.toString('latin1'))
  found.add(Buffer.from(wide).swap16().toString('latin1'))
  return [...found].map((text) => Buffer.from(text, 'latin1'))
}

/** Only letters and digits: nobody has to escape any of it, so whoever does escapes all. */
const SIMPLE = /^[A-Za-z0-9]*$/

function urlForms(secret: string, bytes: Buffer): readonly string[] {
  const every = [...bytes].map(percent).join('')
  if (SIMPLE.test(secret)) return [every, lowerEscapes(every), escape16(secret)]
  // A lone surrogate has no URL form; what comes of the bytes stands for it.
  const text = bytes.toString('utf8')
  const component = encodeURIComponent(text)
  const strict = component.replaceAll(/[!'()*]/g, (each) => percent(each.charCodeAt(0)))
  const forms = [encodeURI(text), component, strict, every, strict.replaceAll('%20', '+')]
  // Some escape all but letters and digits.
  forms.push(strict.replaceAll(/[-_.~]/g, (each) => percent(each.charCodeAt(0))))
  // Python keeps slashes; Java and the forms of browsers keep a star and no tilde.
  forms.push(strict.replaceAll('%2F', '/'))
  forms.push(strict.replaceAll('~', '%7E').replaceAll('%2A', '*').replaceAll('%20', '+'))
  // Path segments keep these (RFC 3986 section 3.3), and so do some that write queries.
  forms.push(strict.replaceAll(/%(?:40|3A|2F|24|2C|3B|2B|3D|26)/g, (each) => decodeURIComponent(each)))
  return [...forms, ...forms.map(lowerEscapes), escape16(secret)]
}

function percent(code: number): string {
  return `%${code.toString(16).toUpperCase().padStart(2, '0')}`
}

function lowerEscapes(text: string): string {
  return text.replaceAll(/%[0-9A-F]{2}/g, (each) => each.toLowerCase())
}

function escape16(text: string): string {
  return units(text, (code) => `%u${code.toString(16).padStart(4, '0')}`)
}

function jsonForms(secret: string): readonly string[] {
  const small = (code: number): string => `\\u${code.toString(16).padStart(4, '0')}`
  const large = (code: number): string => `\\u${code.toString(16).toUpperCase().padStart(4, '0')}`
  if (SIMPLE.test(secret)) return [units(secret, small), units(secret, large)]
  const plain = JSON.stringify(secret).slice(1, -1)
  const escapeSome = (text: string, which: RegExp, how: (code: number) => string): string =>
    text.replaceAll(which, (each) => units(each, how))
  const forms = [plain]
  for (const how of [small, large]) {
    forms.push(units(secret, how))
    // As libraries do that write JSON for HTML pages, and those that write ASCII only.
    forms.push(escapeSome(plain, /[<>&']/g, how), escapeSome(plain, /[^\0-\x7f]/g, how))
    forms.push(escapeSome(plain, /[<>&'=+]|[^\0-\x7f]/g, how))
    // Go; Gson; System.Text.Json; PHP with all of JSON_HEX.
    forms.push(escapeSome(plain, /[<>&]/g, how), escapeSome(plain, /[<>&'=]/g, how))
    const bare = plain.replaceAll('\\"', '"')
    forms.push(escapeSome(bare, /["<>&'+`\x7f]|[^\0-\x7f]/g, how))
    forms.push(escapeSome(bare, /["<>&']|[^\0-\x7f]/g, how))
    forms.push(escapeSome(secret, /[^A-Za-z0-9]/g, how))
  }
  // PHP escapes slashes, too; and JSON may be a text within JSON.
  return [...forms, ...forms.map((each) => each.replaceAll('/', '\\/')), JSON.stringify(plain).slice(1, -1)]
}

function htmlForms(secret: string): readonly string[] {
  const points = [...secret].map((each) => each.codePointAt(0) ?? 0)
  const forms = [points.map((code) => `&#${code};`).join('')]
  for (const x of ['x', 'X']) {
    const hex = points.map((code) => code.toString(16))
    forms.push(hex.map((each) => `&#${x}${each};`).join(''))
    forms.push(hex.map((each) => `&#${x}${each.toUpperCase()};`).join(''))
  }
  if (SIMPLE.test(secret)) return forms
  const named: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  const escaped = (text: string): string => text.replaceAll(/[&<>"]/g, (each) => named[each] ?? each)
  forms.push(
    escaped(secret),
    secret.replaceAll(/[&<>]/g, (each) => named[each] ?? each),
  )
  for (const apostrophe of ['&#39;', '&#x27;', '&#039;', '&apos;']) {
    const text = escaped(secret).replaceAll("'", apostrophe)
    forms.push(text, text.replaceAll('/', '&#x2F;'), text.replaceAll('/', '&#47;'))
    // Mustache, and Handlebars.
    for (const each of [text.replaceAll('/', '&#x2F;'), text])
      forms.push(each.replaceAll('=', '&#x3D;').replaceAll('`', '&#x60;'))
  }
  // ASP.NET.
  forms.push(escaped(secret).replaceAll(/['+`]|[^\0-\x7f]/gu, numbered))
  forms.push(secret.replaceAll(/[^A-Za-z0-9]/gu, (each) => `&#${each.codePointAt(0)};`))
  forms.push(secret.replaceAll(/[^A-Za-z0-9]/gu, numbered))
  return forms
}

function numbered(character: string): string {
  return `&#x${character.codePointAt(0)?.toString(16).toUpperCase()};`
}

function units(text: string, how: (code: number) => string): string {
  let written = ''
  for (let i = 0; i < text.length; i++) written += how(text.charCodeAt(i))
  return written
}

/** The digits that depend on the secret alone, for each of the places in a group of three at which it may begin. */
function base64Forms(bytes: Buffer): readonly string[] {
  const forms: string[] = []
  for (const before of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
    const own = text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6))
    forms.push(own, own.replaceAll('+', '-').replaceAll('/', '_'))
  }
  return forms
}
