import { describe, expect, it } from 'vitest'
import { isGatewayError } from '../../core/index.ts'
import { spellingsOf } from './spellings.ts'
import { ReflectionWatch, searcherOf } from './watch.ts'

const SECRETS = [
  'sk_live_51Hq9vZ8xK2mN4pR7tW',
  'a/b+c=d&e f"g\'h<i>j\\k',
  'pässwörter-für-alle',
  '12345678',
  'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lzcyJ9.c2lnbmF0dXJlLW9mLXRoaXM',
]

/** Made here by other means than there, wherever there are any. */
const FORMS: Readonly<Record<string, (secret: string) => Buffer>> = {
  plain: (secret) => Buffer.from(secret),
  'upper case': (secret) => Buffer.from(secret.toUpperCase()),
  backwards: (secret) => Buffer.from([...secret].toReversed().join('')),
  'of a form': (secret) => Buffer.from(new URLSearchParams({ a: secret }).toString().slice(2)),
  'of a URL': (secret) => Buffer.from(encodeURIComponent(secret)),
  'of a URL, every byte': (secret) =>
    Buffer.from(Buffer.from(secret).toString('hex').replaceAll(/../g, '%$&')),
  'base64, first': (secret) => Buffer.from(Buffer.from(secret).toString('base64')),
  'base64, second': (secret) => Buffer.from(Buffer.from(`u:${secret}`).toString('base64')),
  'base64, third': (secret) => Buffer.from(Buffer.from(`x${secret}!!`).toString('base64')),
  base64url: (secret) => Buffer.from(Buffer.from(`api:${secret}`).toString('base64url')),
  'base64 in a URL': (secret) =>
    Buffer.from(encodeURIComponent(Buffer.from(`u:${secret}`).toString('base64'))),
  hexadecimal: (secret) => Buffer.from(Buffer.from(secret).toString('hex')),
  'hexadecimal, large': (secret) => Buffer.from(Buffer.from(secret).toString('hex').toUpperCase()),
  JSON: (secret) => Buffer.from(JSON.stringify({ secret })),
  'JSON in JSON': (secret) => Buffer.from(JSON.stringify(JSON.stringify({ secret }))),
  'JSON, ASCII': (secret) =>
    Buffer.from(
      JSON.stringify(secret).replaceAll(/[^\0-\x7f]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`),
    ),
  'JSON, every character': (secret) =>
    Buffer.from([...secret].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')),
  HTML: (secret) =>
    Buffer.from(
      secret
        .replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll('>', '&gt;')
        .replaceAll('"', '&quot;')
        .replaceAll("'", '&#39;'),
    ),
  'JSON of Go': (secret) => written(JSON.stringify(secret), /[<>&]/g, 'small'),
  'JSON of Gson': (secret) => written(JSON.stringify(secret), /[<>&'=]/g, 'small'),
  'JSON of .NET': (secret) => written(secret.replaceAll('\\', '\\\\'), /["<>&'+`]|[^\0-\x7f]/g, 'large'),
  'JSON of PHP': (secret) => written(JSON.stringify(secret).replaceAll('/', '\\/'), /[^\0-\x7f]/g, 'small'),
  'URL of Python': (secret) =>
    Buffer.from(
      encodeURIComponent(secret)
        .replaceAll('%2F', '/')
        .replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`),
    ),
  'HTML of Handlebars': (secret) =>
    Buffer.from(
      secret
        .replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll('>', '&gt;')
        .replaceAll('"', '&quot;')
        .replaceAll("'", '&#x27;')
        .replaceAll('=', '&#x3D;'),
    ),
  'HTML of ASP.NET': (secret) =>
    Buffer.from(
      secret
        .replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll('>', '&gt;')
        .replaceAll('"', '&quot;')
        .replaceAll(/['+]|[^\0-\x7f]/g, (c) => `&#x${c.charCodeAt(0).toString(16).toUpperCase()};`),
    ),
  'HTML, every character': (secret) => Buffer.from([...secret].map((c) => `&#${c.charCodeAt(0)};`).join('')),
  'UTF-16, little': (secret) => Buffer.from(secret, 'utf16le'),
  'UTF-16, big': (secret) => Buffer.from(secret, 'utf16le').swap16(),
}

/** As a library for JSON writes what stands in a text, where it escapes these in small or large digits. */
function written(json: string, which: RegExp, digits: 'small' | 'large'): Buffer {
  const code = (c: string): string => c.charCodeAt(0).toString(16).padStart(4, '0')
  return Buffer.from(
    json.replaceAll(which, (c) => `\\u${digits === 'large' ? code(c).toUpperCase() : code(c)}`),
  )
}

function passed(watch: ReflectionWatch, body: Buffer, pieceBytes: number): { out: Buffer; stopped: boolean } {
  const out: Buffer[] = []
  try {
    for (let at = 0; at < body.length; at += pieceBytes)
      out.push(Buffer.from(watch.push(body.subarray(at, at + pieceBytes))))
    out.push(Buffer.from(watch.end()))
    return { out: Buffer.concat(out), stopped: false }
  } catch (error) {
    if (!isGatewayError(error)) throw error
    expect(JSON.stringify([error.message, error.remedy, error.facts])).not.toMatch(/sk_live|12345678/)
    return { out: Buffer.concat(out), stopped: true }
  }
}

describe('an answer with the credential of its request', () => {
  it.each(Object.keys(FORMS))('is stopped before the first byte of it, written %s (P-08)', (form) => {
    for (const secret of SECRETS) {
      const searcher = searcherOf(['another-secret', secret])
      const written = FORMS[form]?.(secret) ?? Buffer.alloc(0)
      const before = Buffer.from(`{"a": "${'x'.repeat(37)}`)
      const body = Buffer.concat([before, written, Buffer.from('", "b": 1}')])
      for (const pieceBytes of [1, 2, 3, 7, 16, 4096]) {
        const { out, stopped } = passed(new ReflectionWatch(searcher), body, pieceBytes)
        expect(stopped, `${secret} in pieces of ${pieceBytes}`).toBe(true)
        // At most what stands in front of it; JSON of ours begins with `{"secret":"`.
        expect(out.length).toBeLessThanOrEqual(before.length + 20)
        expect(out.includes(written.subarray(0, 24)) && written.length > 24).toBe(false)
      }
    }
  })

  it('passes whole when it only begins like one, at the end and in between', () => {
    const searcher = searcherOf(SECRETS)
    for (const text of [
      '12345670 1234567',
      'sk_live_51Hq9vZ8xK2mN4pR7tX',
      'sk_live_51sk_live_51Hq9vZ8xK2mN4p',
      '',
      '1',
    ]) {
      for (const pieceBytes of [1, 5, 100]) {
        const { out, stopped } = passed(new ReflectionWatch(searcher), Buffer.from(text), pieceBytes)
        expect([out.toString(), stopped]).toEqual([text, false])
      }
    }
  })

  it('keeps nothing back that begins none: an event reaches its reader at once', () => {
    const watch = new ReflectionWatch(searcherOf([SECRETS[0] ?? '']))
    expect(watch.push(Buffer.from('data: 1\n\n')).length).toBe(9)
    expect(Buffer.from(watch.push(Buffer.from('data: sk_li'))).toString()).toBe('data: ')
    expect(Buffer.from(watch.push(Buffer.from('ne\n\n'))).toString()).toBe('sk_line\n\n')
  })

  it('is found wherever random bytes stand around it, and never elsewhere', () => {
    let state = 7
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
      return (state >> 8) % below
    }
    const patterns = SECRETS.flatMap(spellingsOf)
    const searcher = searcherOf(SECRETS)
    for (let round = 0; round < 400; round++) {
      const noise = Buffer.from(Array.from({ length: random(300) }, () => 48 + random(12)))
      const pattern = patterns[random(patterns.length)] ?? Buffer.alloc(0)
      const cut = random(3) === 0 ? pattern.subarray(0, pattern.length - 1) : pattern
      const body = Buffer.concat([noise, cut, noise])
      const { out, stopped } = passed(new ReflectionWatch(searcher), body, 1 + random(40))
      const expected = patterns.some((each) => body.includes(each))
      expect(stopped).toBe(expected)
      if (stopped) expect(patterns.some((each) => out.includes(each))).toBe(false)
      else expect(out.equals(body)).toBe(true)
    }
  })

  it('is stopped for a field that holds it, and for a coding that cannot be looked into', () => {
    const [secret = ''] = SECRETS
    const watch = new ReflectionWatch(searcherOf([secret]))
    expect(() => watch.fields(['content-type', 'text/plain', 'x-count', '3'])).not.toThrow()
    expect(() => watch.fields(['location', `https://other.example/?key=${secret}`])).toThrow('withheld')
    expect(() => watch.fields([`x-${secret}`, 'a'])).toThrow('withheld')
    expect(() => watch.fields(['Content-Encoding', 'gzip'])).toThrow('compressed')
    expect(() => watch.fields(['content-encoding', 'identity'])).not.toThrow()
  })

  it('is not looked at where the request had none', () => {
    const watch = new ReflectionWatch(searcherOf([]))
    watch.fields(['content-encoding', 'gzip'])
    const piece = Buffer.from('abc')
    expect(watch.push(piece)).toBe(piece)
  })
})
