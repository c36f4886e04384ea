import { isGatewayError } from '../../core/index.ts'
import { uint64At, viewOf } from './bytes.ts'
import { readBeginning } from './pieces.ts'
import type { AuditSource, Primitives } from './ports.ts'

/** `SLUICEJ2`. */
const MAGIC = Uint8Array.of(0x53, 0x4c, 0x55, 0x49, 0x43, 0x45, 0x4a, 0x32)
const HEADER_BYTES = 100
const DIGITS_MIN = 8

/**
 * The sequence number with which the journal begins, by the headers of its files, which take no key to read (and none to
 * make); infinity where there is no file. Undefined where nobody can list files.
 */
export async function journalBegin(
  source: AuditSource,
  primitives: Pick<Primitives, 'crc32'>,
): Promise<number | undefined> {
  const names = await source.list?.('journal').catch(unlessUnreachable)
  if (names === undefined) return undefined
  let begin = Number.POSITIVE_INFINITY
  for (const name of names) {
    const number = journalNumber(name)
    if (number === undefined) continue
    const first = await firstOf(source, primitives, `journal/${name}`, number)
    if (typeof first === 'number') begin = Math.min(begin, first)
  }
  return begin
}

/** The number of a journal file by its name, `00000001.slj`; undefined for what is no such name. */
export function journalNumber(name: string): number | undefined {
  const [, digits] = /^(\d{8,15})\.slj$/.exec(name) ?? []
  const number = Number(digits)
  return number > 0 && String(number).padStart(DIGITS_MIN, '0') === digits ? number : undefined
}

/**
 * The sequence number with which a journal file begins, by its header. `cut`: it ends before its header does; `none`: what
 * is there is none; undefined: there is no such file.
 */
export async function firstOf(
  source: AuditSource,
  { crc32 }: Pick<Primitives, 'crc32'>,
  path: string,
  number: number,
): Promise<number | 'cut' | 'none' | undefined> {
  let header: Uint8Array | undefined
  try {
    header = await readBeginning(source, path, HEADER_BYTES)
  } catch (error) {
    unlessUnreachable(error)
    return 'none'
  }
  if (header === undefined) return undefined
  if (header.length < HEADER_BYTES) return 'cut'
  const view = viewOf(header)
  const isHeader =
    MAGIC.every((byte, at) => header[at] === byte) &&
    crc32(header.subarray(12)) === view.getUint32(8, true) &&
    view.getUint32(12, true) === number
  const first = uint64At(view, 16)
  return isHeader && !Number.isNaN(first) ? first : 'none'
}

/** What is no file has no header, and what is no folder no files. */
function unlessUnreachable(error: unknown): undefined {
  if (!isGatewayError(error) || error.code === 'upstream_unreachable') throw error
}
