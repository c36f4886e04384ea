/**
 * Forms that the grammar of PostgreSQL 18 takes for the server's own, and that an older server reads as names of whoever has
 * them: SYSTEM_USER is a column before 16, json_object(...) and the type JSON are looked for on the search path. In the tree
 * they are what the older server makes of them; a newer one finds its own under these names as well, unless somebody else has them.
 * https://www.postgresql.org/docs/release/16.0/
 */
const SYSTEM_USER_CALL = new RegExp(
  String.raw`\{"FuncCall":\{"funcname":\[\{"String":\{"sval":"pg_catalog"\}\},\{"String":\{"sval":"system_user"\}\}\],` +
    String.raw`"funcformat":"COERCE_SQL_SYNTAX"(,"location":\d+)?\}\}`,
  'g',
)
const SYSTEM_USER_COLUMN = '{"ColumnRef":{"fields":[{"String":{"sval":"system_user"}}]$1}}'
/** Of a function, and of a type: a column may have such a name as well, of something that is called pg_catalog. */
const JSON_NAME = new RegExp(
  String.raw`"(funcname|names)":\[\{"String":\{"sval":"pg_catalog"\}\},(\{"String":\{"sval":"json(?:_object)?"\}\})\]`,
  'g',
)
const CONCERNED = /"(?:system_user|json|json_object)"/

/** The tree, as JSON, that the parser has written. No text in it can look like a part of it: inside one every quote is escaped. */
export function asOlderServersRead(json: string): string {
  if (!CONCERNED.test(json)) return json
  return json.replaceAll(SYSTEM_USER_CALL, SYSTEM_USER_COLUMN).replaceAll(JSON_NAME, '"$1":[$2]')
}
