import type { CopyForm, StatementFacts } from '../../../core/index.ts'
import { GatewayError } from '../../../core/index.ts'
import type { CopyFormats } from '../../../wire/postgres/index.ts'
import { BinarySearch } from './copy-search-binary.ts'
import { LineSearch } from './copy-search-lines.ts'
import type { CopySearch, Look } from './value-search.ts'

/**
 * `lookFor`: what is done with values for a column with these labels. Throws GatewayError `protocol_violation` where the
 * server reads another form than the statement asks for.
 */
export function copySearch(
  { form, columns }: NonNullable<StatementFacts['copyIn']>,
  formats: CopyFormats,
  lookFor: (labels: (typeof columns)[number]) => Look,
): CopySearch {
  if (formats.format !== (form.kind === 'binary' ? 1 : 0)) {
    throw new GatewayError(
      'protocol_violation',
      'The upstream reads rows of COPY that are not what was asked for.',
    )
  }
  const any = lookFor([...new Set(columns.flat())])
  // The server leaves out generated columns: with another count than expected nobody knows which is which.
  const known = formats.columnFormats.length === columns.length
  const looks = formats.columnFormats.map((_format, i) => {
    const labels = columns[i]
    if (!known || labels === undefined) return any
    return labels.length === 0 ? undefined : lookFor(labels)
  })
  return searchOf(form, looks)
}

function searchOf(form: CopyForm, looks: readonly (Look | undefined)[]): CopySearch {
  return form.kind === 'binary' ? new BinarySearch(looks) : new LineSearch(form, looks)
}
