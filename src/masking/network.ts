import type { CellMasker } from './masker.ts'
import { byValue } from './masker.ts'
import type { ValueFormat } from './types.ts'

/** How much of an address is kept: the network that a provider gives to a site. */
const KEPT_BITS = { 4: 24, 6: 48 } as const

/** Addresses as the network they are in: /24 for version 4, /48 for version 6. A wider network stays as it is. */
export function networkOf(cidr: boolean, format: ValueFormat): CellMasker {
  return byValue((value) => {
    if (format === 'binary') return binaryNetwork(value)
    const address = readInet(value.toString('latin1'))
    return address === undefined ? undefined : Buffer.from(inetText(narrow(address), cidr))
  })
}

export type Inet = { readonly bytes: Uint8Array; readonly bits: number }

function narrow({ bytes, bits }: Inet): Inet {
  const kept = Math.min(bits, bytes.length === 4 ? KEPT_BITS[4] : KEPT_BITS[6])
  const network = bytes.map((byte, i) => {
    const left = kept - 8 * i
    return left >= 8 ? byte : left <= 0 ? 0 : byte & (0xff << (8 - left))
  })
  return { bytes: network, bits: kept }
}

/** As the server writes or reads it: `10.1.2.3`, `10.1.0.0/16`, `2001:db8::1/64`. */
export function readInet(text: string): Inet | undefined {
  const [address = '', prefix, more] = text.split('/')
  if (more !== undefined) return undefined
  const bytes = address.includes(':') ? version6(address) : version4(address)
  if (bytes === undefined) return undefined
  const most = 8 * bytes.length
  if (prefix === undefined) return { bytes, bits: most }
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= most ? { bytes, bits: Number(prefix) } : undefined
}

function version4(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255))
    return undefined
  return Uint8Array.from(parts, Number)
}

function version6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [front = [], back = []] = halves.map(words)
  if (front === undefined || back === undefined) return undefined
  const missing = 8 - front.length - back.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const all = [...front, ...Array.from({ length: missing }, () => 0), ...back]
  return Uint8Array.from(all.flatMap((word) => [word >> 8, word & 0xff]))
}

/** The words between colons; the last two may be an address of version 4. */
function words(text: string): number[] | undefined {
  if (text === '') return []
  const found: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (part.includes('.')) {
      const four = i === parts.length - 1 ? version4(part) : undefined
      if (four === undefined) return undefined
      found.push((four[0] ?? 0) * 256 + (four[1] ?? 0), (four[2] ?? 0) * 256 + (four[3] ?? 0))
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      found.push(Number.parseInt(part, 16))
    } else {
      return undefined
    }
  }
  return found
}

function inetText({ bytes, bits }: Inet, cidr: boolean): string {
  const prefix = cidr || bits < 8 * bytes.length ? `/${bits}` : ''
  if (bytes.length === 4) return `${bytes.join('.')}${prefix}`
  const found = Array.from({ length: 8 }, (_, i) =>
    ((bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0)).toString(16),
  )
  return `${found.join(':').replace(/(^|:)0(:0)+$/, '::')}${prefix}`
}

const FAMILY_4 = 2
const FAMILY_6 = 3
const HEAD_BYTES = 4

/** Family, prefix length, whether it is a cidr, length of the address, the address. */
function binaryNetwork(value: Buffer): Buffer | undefined {
  const length = value[3] ?? 0
  const family = value[0]
  if (value.length !== HEAD_BYTES + length || length !== (family === FAMILY_4 ? 4 : 16)) return undefined
  if (family !== FAMILY_4 && family !== FAMILY_6) return undefined
  const { bytes, bits } = narrow({ bytes: value.subarray(HEAD_BYTES), bits: value[1] ?? 0 })
  return Buffer.concat([Buffer.from([family, bits, value[2] ?? 0, length]), bytes])
}

export function binaryInet({ bytes, bits }: Inet, cidr: boolean): Buffer {
  const family = bytes.length === 4 ? FAMILY_4 : FAMILY_6
  return Buffer.concat([Buffer.from([family, bits, cidr ? 1 : 0, bytes.length]), bytes])
}
