import type { Client } from 'pg'
import type { Markers } from './markers.ts'

/** A column of the copy: its name as SQL writes it and as it is, and the type that its values are of. */
export type CopiedColumn = {
  readonly quoted: string
  readonly name: string
  readonly type: string
  readonly generated: boolean
}

/** How a label hides values, as far as it matters here: what a mask shows on purpose must be no marker. */
export type Mask = { readonly kind: string; readonly keep?: number | undefined }

/** More than this many letters of a value would be taken for the value. */
const KEPT_MAX = 5

/** Values to try for a marker, as SQL literals, most telling first; none where a value of this type is too small for one. */
export function markersFor(type: string, mask: Mask | undefined, markers: Markers): string[] {
  if ((mask?.keep ?? 0) > KEPT_MAX) return []
  const inPart = mask?.kind === 'year' || mask?.kind === 'bucket'
  const base = type.replace(/\(.*\)/, '')
  if (base.endsWith('[]')) {
    return markersFor(base.slice(0, -2), mask, markers).map((each) => `ARRAY[${each}]::${base}`)
  }
  switch (base) {
    case 'smallint':
    case 'real':
    case 'boolean':
      return []
    case 'integer':
      return inPart ? [] : [String(markers.integer(9))]
    case 'bigint':
      return inPart ? [] : [String(markers.integer(16))]
    case 'numeric':
    case 'money':
      return inPart ? [] : [markers.numeric(), markers.digits()]
    case 'double precision':
      return inPart ? [] : [markers.float()]
    case 'date':
      return inPart ? [] : [quoted(markers.date())]
    case 'timestamp without time zone':
    case 'timestamp with time zone':
      return inPart ? [] : [quoted(markers.timestamp())]
    case 'uuid':
      return [quoted(markers.uuid())]
    case 'inet':
    case 'cidr':
      return [quoted(markers.inet())]
    case 'bytea':
      return [`convert_to(${quoted(markers.word())}, 'UTF8')`]
    case 'json':
    case 'jsonb':
      return [quoted(JSON.stringify({ value: markers.word(), list: [markers.word()] }))]
    case 'xml':
      return [quoted(`<v>${markers.word()}</v>`)]
    default:
      return [
        quoted(markers.word()),
        quoted(`${markers.word()}@example.org`),
        quoted(String(markers.integer(16))),
        quoted(markers.digits()),
      ]
  }
}

/** Something for the other columns, so that views and keys have something to stand on. */
function plainFor(type: string): string | undefined {
  if (/^(smallint|integer|bigint|numeric|real|double precision)/.test(type)) return '1'
  if (/^(text|character|name)/.test(type)) return "'a'"
  if (type === 'boolean') return 'true'
  if (/^(date|timestamp)/.test(type)) return "'2020-01-01'"
  return type === 'uuid' ? "'00000000-0000-4000-8000-000000000001'" : undefined
}

/** What a table is filled with: a mask for each labelled column, by its name. */
export type Filling = {
  readonly name: string
  readonly kind: 'table' | 'partitioned'
  readonly columns: readonly CopiedColumn[]
  readonly masks: ReadonlyMap<string, Mask | undefined>
}

/** One row, with a marker in each labelled column that can hold one. Gives back the columns that hold theirs. */
export async function fill(client: Client, table: Filling, markers: Markers): Promise<string[]> {
  if (table.kind === 'partitioned') {
    // Where a row without a key goes. Where there is such a partition already, this fails and is not needed.
    const name = table.name.replace(/"?$/, (end) => `_rest${end}`)
    await attempt(client, `CREATE TABLE ${name} PARTITION OF ${table.name} DEFAULT`)
  }
  if (!(await attempt(client, `INSERT INTO ${table.name} DEFAULT VALUES`))) return []
  const only = table.kind === 'table' ? 'ONLY ' : ''
  const marked: string[] = []
  for (const column of table.columns) {
    if (column.generated) {
      // Made from others of its row; whether it shows anything is seen at the server itself.
      if (table.masks.has(column.name)) marked.push(column.name)
      continue
    }
    const set = (value: string) => `UPDATE ${only}${table.name} SET ${column.quoted} = ${value}`
    if (!table.masks.has(column.name)) {
      const value = plainFor(column.type)
      if (value !== undefined) await attempt(client, set(value))
      continue
    }
    for (const value of markersFor(column.type, table.masks.get(column.name), markers)) {
      if (!(await attempt(client, set(value)))) continue
      // Some types take a value and keep a part of it.
      const kept = await client.query<[string | null]>({
        text: `SELECT string_agg(${column.quoted}::text, ' ') FROM ${only}${table.name}`,
        rowMode: 'array',
      })
      if (markers.find(Buffer.from(kept.rows[0]?.[0] ?? '')).length === 0) continue
      marked.push(column.name)
      break
    }
  }
  return marked
}

async function attempt(client: Client, text: string): Promise<boolean> {
  try {
    await client.query(text)
    return true
  } catch {
    // The next value may be one that the type takes.
    return false
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
