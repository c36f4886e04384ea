/** One condition for each kind of node, so that the rare ones come as often as the common ones, wherever it is asked for. */
import type { Dice, Type } from './schemas.ts'

type Of = (type: Type) => string

/** `scalar`: a query of one column and one row. */
export type Parts = {
  readonly of: Of
  readonly scalar: (type: Type) => string
  readonly literal: Of
  /** What the query is grouped by, if anything. */
  readonly key: string | undefined
}

type Kind = (parts: Parts) => string

export const RARE: readonly Kind[] = [
  ({ of }) => `${of('text')} = ANY (${of('text[]')})`,
  ({ of }) => `${of('int')} < ALL (${of('int[]')})`,
  ({ of }) => `${of('text')} IS DISTINCT FROM ${of('text')}`,
  ({ of }) => `${of('date')} IS NOT DISTINCT FROM ${of('date')}`,
  ({ of, literal }) => `nullif(${of('text')}, ${literal('text')}) IS NULL`,
  ({ of, literal }) => `${of('text')} IN (${of('text')}, ${literal('text')})`,
  ({ of }) => `${of('text')} LIKE 'a%'`,
  ({ of }) => `${of('text')} ILIKE 'a%'`,
  ({ of }) => `${of('text')} SIMILAR TO 'a%'`,
  ({ of }) => `${of('int')} BETWEEN 1 AND ${of('int')}`,
  ({ of }) => `${of('numeric')} NOT BETWEEN 1 AND ${of('numeric')}`,
  ({ of }) => `${of('int')} BETWEEN SYMMETRIC 1 AND ${of('int')}`,
  ({ of }) => `(ARRAY[${of('text')}, 'a'])[1] = 'a'`,
  ({ of }) => `(${of('pair')}).a = 'a'`,
  ({ of }) => `(${of('bool')} AND NOT ${of('bool')})`,
  ({ of }) => `(${of('bool')}) IS UNKNOWN`,
  ({ of }) => `CASE WHEN ${of('bool')} THEN ${of('text')} ELSE 'b' END = 'a'`,
  ({ of }) => `CASE ${of('text')} WHEN 'a' THEN true END`,
  ({ of }) => `coalesce(${of('text')}, 'a') = 'a'`,
  ({ of }) => `${of('text')} COLLATE "C" < 'a'`,
  ({ of }) => `upper(${of('text')}) = 'A'`,
  ({ of }) => `JSON_ARRAY(${of('text')}, ${of('int')})::text = '[]'`,
  ({ scalar }) => `JSON_ARRAY(${scalar('text')})::text = '[]'`,
  ({ of }) => `JSON_EXISTS(${of('jsonb')}, '$.k')`,
  ({ of }) => `JSON_QUERY(${of('jsonb')}, '$.list') IS NULL`,
  ({ of }) => `JSON_VALUE(${of('jsonb')}, '$.k') = 'a'`,
  ({ of }) => `${of('text')} IS JSON`,
  ({ of }) => `JSON_OBJECT('k': ${of('text')})::text = '{}'`,
  ({ of }) => `JSON((${of('jsonb')})::text)::text = '{}'`,
  ({ of }) => `JSON_SCALAR(${of('text')})::text = 'a'`,
  ({ of }) => `JSON_SERIALIZE(${of('json')} RETURNING text) = 'a'`,
  ({ of }) => `greatest(${of('text')}, 'a') = 'a'`,
  ({ of }) => `make_interval(days => ${of('int')}) IS NULL`,
  ({ of }) => `${of('bytea')} IS NOT NULL`,
  ({ of }) => `(${of('text')}, ${of('int')}) = ('a', 1)`,
  ({ of }) => `${of('text')} = CURRENT_USER`,
  ({ of, scalar }) => `${of('int')} >= ALL (${scalar('int')})`,
  ({ of, scalar }) => `${of('text')} IN (${scalar('text')})`,
  ({ scalar }) => `ARRAY(${scalar('text')}) = ARRAY['a']`,
  ({ scalar }) => `EXISTS (${scalar('int')})`,
  ({ of, scalar }) => `(${scalar('text')}) = ${of('text')}`,
  ({ of }) => `CAST(${of('date')} AS text) = 'a'`,
  ({ of }) => `xmlelement(name a, ${of('text')})::text = 'a'`,
  ({ of }) => `xmlserialize(content xmlforest(${of('text')} AS f) AS text) = 'a'`,
]

/** In a grouped query there are aggregates besides. */
export const GROUPED: readonly Kind[] = [
  ...RARE,
  () => "JSON_OBJECTAGG('k' : 1)::text = '{}'",
  () => "JSON_ARRAYAGG(1)::text = '[]'",
  ({ key }) => (key === undefined ? 'count(*) = 1' : `grouping(${key}) = 0`),
  () => 'count(*) FILTER (WHERE true) = 1',
  () => "string_agg('a', ',' ORDER BY 1) = 'a'",
  () => "mode() WITHIN GROUP (ORDER BY 'a'::text) = 'a'",
]

/** Kinds in turn, for each place for itself, so that each of them comes by everywhere. */
export class Decks {
  readonly #left = new Map<string, Kind[]>()

  draw(place: string, kinds: readonly Kind[], dice: Dice): Kind {
    const name = `${place} ${kinds.length}`
    let left = this.#left.get(name)
    if (left === undefined || left.length === 0) {
      left = [...kinds]
      this.#left.set(name, left)
    }
    const [drawn] = left.splice(dice.below(left.length), 1)
    return drawn ?? dice.pick(kinds)
  }
}
