/**
 * The little of DER (X.690) that writing a certificate needs: each function gives one encoded element. Reading is not
 * here: certificates are read by OpenSSL.
 */

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return element(0x30, Buffer.concat(parts))
}

export function set(...parts: readonly Uint8Array[]): Buffer {
  return element(0x31, Buffer.concat(parts))
}

/** Dotted form in, such as `2.5.4.3`. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    const groups = [arc & 0x7f]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      groups.unshift((left & 0x7f) | 0x80)
    }
    bytes.push(...groups)
  }
  return element(0x06, Buffer.from(bytes))
}

/** A number that is not negative, big-endian. */
export function integer(bytes: Uint8Array): Buffer {
  let from = 0
  while (from < bytes.length - 1 && bytes[from] === 0) from++
  const plain = bytes.subarray(from)
  return element(0x02, (plain[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), plain]) : plain)
}

export function boolean(value: boolean): Buffer {
  return element(0x01, Buffer.from([value ? 0xff : 0]))
}

export function octets(contents: Uint8Array): Buffer {
  return element(0x04, contents)
}

export function bits(contents: Uint8Array, unused = 0): Buffer {
  return element(0x03, Buffer.concat([Buffer.from([unused]), contents]))
}

export function utf8(text: string): Buffer {
  return element(0x0c, Buffer.from(text))
}

/** UTCTime until 2049, GeneralizedTime after: RFC 5280 section 4.1.2.5. */
export function time(ms: number): Buffer {
  const iso = new Date(ms).toISOString()
  const digits = iso.replace(/\..*$/, '').replace(/\D/g, '')
  return Number(iso.slice(0, 4)) < 2050
    ? element(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : element(0x18, Buffer.from(`${digits}Z`))
}

/** A context-specific tag around whole elements (explicit, constructed). */
export function explicit(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  return element(0xa0 | tag, Buffer.concat(parts))
}

/** A context-specific tag in place of an element's own (implicit, primitive). */
export function implicit(tag: number, contents: Uint8Array): Buffer {
  return element(0x80 | tag, contents)
}

function element(tag: number, contents: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([tag, ...lengthOf(contents.length)]), contents])
}

function lengthOf(length: number): readonly number[] {
  if (length < 0x80) return [length]
  const octets: number[] = []
  for (let left = length; left > 0; left = Math.floor(left / 256)) octets.unshift(left & 0xff)
  return [0x80 | octets.length, ...octets]
}
