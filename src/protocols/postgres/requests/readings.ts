import type { ParameterReading } from '../../../core/index.ts'

/** Types whose parameters are shown by name; their numbers never change (pg_type.dat). */
const NAMES: ReadonlyMap<number, string> = new Map([
  [16, 'boolean'],
  [17, 'bytea'],
  [19, 'name'],
  [20, 'bigint'],
  [21, 'smallint'],
  [23, 'integer'],
  [25, 'text'],
  [26, 'oid'],
  [114, 'json'],
  [142, 'xml'],
  [700, 'real'],
  [701, 'double precision'],
  [1005, 'smallint[]'],
  [1007, 'integer[]'],
  [1009, 'text[]'],
  [1015, 'character varying[]'],
  [1016, 'bigint[]'],
  [1042, 'character'],
  [1043, 'character varying'],
  [1082, 'date'],
  [1083, 'time'],
  [1114, 'timestamp'],
  [1184, 'timestamp with time zone'],
  [1186, 'interval'],
  [1700, 'numeric'],
  [2950, 'uuid'],
  [3802, 'jsonb'],
])

/**
 * How each of `count` parameters is read: by the format that Bind gives to none, all or each of them, and by the type
 * that Parse has declared. Undefined: all are text, and none was declared.
 */
export function readingsOf(
  count: number,
  formats: readonly number[],
  types: readonly number[] = [],
): readonly ParameterReading[] | undefined {
  if (formats.every((format) => format === 0) && types.every((type) => type === 0)) return undefined
  return Array.from({ length: count }, (_, i) => {
    const format = (formats.length === 1 ? formats[0] : formats[i]) ?? 0
    const type = types[i] ?? 0
    const form = format === 0 ? 'text' : 'binary'
    return type === 0 ? form : `${form} ${NAMES.get(type) ?? `type ${type}`}`
  })
}
