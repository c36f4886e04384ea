/** Names under which APIs take how many records they are to answer with, in any spelling. */
const PAGE_SIZES: ReadonlySet<string> = new Set([
  'limit',
  'first',
  'last',
  'take',
  'top',
  'count',
  'pagesize',
  'perpage',
  'pagelimit',
  'maxresults',
  'maxitems',
  'maxrecords',
])

/** `per_page`, `page[size]`, `$top`, `maxResults`. */
export function isPageSizeName(name: string): boolean {
  return PAGE_SIZES.has(name.toLowerCase().replaceAll(/[^a-z]/g, ''))
}

/** Where a request says how many records it wants, and how many it gets when it does not say. */
export type PageSize = { readonly name: string; readonly default?: number }

/** Records that a request asks for: what it says, else the default; undefined: all there are, or it cannot be told. */
export function pageSizeOf(page: PageSize, written: string | undefined): number | undefined {
  if (written === undefined) return page.default
  return /^\d{1,15}$/.test(written) ? Number(written) : undefined
}
