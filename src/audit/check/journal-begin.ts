import { isGatewayError } from '../../core/index.ts'
import { uint64At, viewOf } from './bytes.ts'
import { readBeginning } from './pieces.ts'
import type { AuditSource, Primitives } from './ports.ts'

/** `SLUICEJ2`. */
const MAGIC = Uint8Array.of(0x53, 0x4c, 0x55, 0x49, 0x43, 0x45, 0x4a, 0x32)
const HEADER_BYTES = 100

/** What is no file has no header. */
function unlessUnreachable(error: unknown): undefined {
  if (!isGatewayError(error) || error.code === 'upstream_unreachable') throw error
}

/**
 * The sequence number with which the journal begins, by the headers of its files, which take no key to read (and none to
 * make); infinity where there is no file. Undefined where nobody can list files.
 */
export async function journalBegin(
  source: AuditSource,
  { crc32 }: Pick<Primitives, 'crc32'>,
): Promise<number | undefined> {
  const names = await source.list?.('journal')
  if (names === undefined) return undefined
  let begin = Number.POSITIVE_INFINITY
  for (const name of names) {
    if (!/^\d{8,15}\.slj$/.test(name)) continue
    const header = await readBeginning(source, `journal/${name}`, HEADER_BYTES).catch(unlessUnreachable)
    if (header === undefined || header.length < HEADER_BYTES) continue
    const view = viewOf(header)
    if (
      MAGIC.some((byte, at) => header[at] !== byte) ||
      crc32(header.subarray(12)) !== view.getUint32(8, true)
    )
      continue
    if (view.getUint32(12, true) === Number.parseInt(name, 10)) begin = Math.min(begin, uint64At(view, 16))
  }
  return begin
}
