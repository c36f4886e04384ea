/** What the escapes of a query or a form stand for, as far as they stand for something; a plus is a blank. */
export function unescapedQuery(text: string): string {
  if (!/[%+]/.test(text)) return text
  const spaced = Buffer.from(text.replaceAll('+', ' '), 'utf8').toString('latin1')
  const bytes = spaced.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}

/**
 * Whether somebody finds this key in a query or a form: in either case (ASP.NET), parted by semicolons (older Rack and Python), with
 * dots and blanks for underscores and brackets behind it (PHP).
 */
export function hasQueryKey(query: string, key: string): boolean {
  return queryKeys(query).includes(readName(key))
}

/** The keys of a query or a form as the most generous of these reads them: each as often as it stands there, in lower case. */
export function queryKeys(query: string): readonly string[] {
  return query.split(/[&;]/).map((pair) => readName(unescapedQuery(pair.replace(/=.*$/s, ''))))
}

function readName(name: string): string {
  return name
    .trimStart()
    .replace(/[[\0].*$/s, '')
    .replaceAll(/[. ]/g, '_')
    .toLowerCase()
}
