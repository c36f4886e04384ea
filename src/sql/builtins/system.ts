/**
 * Which of the server's own relations and types hold definitions only. An allow-list: relations that hold values of
 * columns (pg_stats, pg_largeobject), secrets (pg_authid), or what is not known are not on it. A few are on it but for
 * one column that is guarded.
 */
const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

const CATALOGUE = words(`
  pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members pg_available_extension_versions
  pg_available_extensions pg_cast pg_class pg_collation pg_constraint pg_conversion pg_cursors pg_database pg_db_role_setting
  pg_default_acl pg_depend pg_description pg_enum pg_event_trigger pg_extension pg_foreign_data_wrapper
  pg_foreign_server pg_foreign_table pg_group pg_index pg_indexes pg_inherits pg_init_privs pg_language
  pg_largeobject_metadata pg_locks pg_matviews pg_namespace pg_opclass pg_operator pg_opfamily pg_parameter_acl
  pg_partitioned_table pg_policies pg_policy pg_prepared_statements pg_proc pg_publication pg_publication_namespace pg_publication_rel
  pg_publication_tables pg_range pg_rewrite pg_roles pg_rules pg_seclabel pg_seclabels pg_sequence pg_sequences
  pg_settings pg_shdepend pg_shdescription pg_shseclabel pg_stat_activity
  pg_stat_all_indexes pg_stat_all_tables pg_stat_bgwriter
  pg_stat_checkpointer pg_stat_database pg_stat_progress_analyze pg_stat_progress_cluster
  pg_stat_progress_create_index pg_stat_progress_vacuum pg_stat_sys_indexes pg_stat_sys_tables
  pg_stat_user_functions pg_stat_user_indexes pg_stat_user_tables pg_stat_xact_all_tables pg_stat_xact_sys_tables
  pg_stat_xact_user_functions pg_stat_xact_user_tables pg_statio_all_indexes pg_statio_all_sequences
  pg_statio_all_tables pg_statio_sys_indexes pg_statio_sys_sequences pg_statio_sys_tables pg_statio_user_indexes
  pg_statio_user_sequences pg_statio_user_tables pg_statistic_ext pg_subscription pg_subscription_rel pg_tables pg_tablespace
  pg_timezone_abbrevs pg_timezone_names pg_transform pg_trigger pg_ts_config pg_ts_config_map pg_ts_dict pg_ts_parser
  pg_ts_template pg_type pg_user pg_user_mapping pg_user_mappings pg_views`)

const INFORMATION_SCHEMA = words(`
  administrable_role_authorizations applicable_roles attributes character_sets check_constraint_routine_usage
  check_constraints collation_character_set_applicability collations column_column_usage column_domain_usage
  column_options column_privileges column_udt_usage columns constraint_column_usage constraint_table_usage
  data_type_privileges domain_constraints domain_udt_usage domains element_types enabled_roles
  foreign_data_wrapper_options foreign_data_wrappers foreign_server_options foreign_servers foreign_table_options
  foreign_tables information_schema_catalog_name key_column_usage parameters referential_constraints
  role_column_grants role_routine_grants role_table_grants role_udt_grants role_usage_grants routine_column_usage
  routine_privileges routine_routine_usage routine_sequence_usage routine_table_usage routines schemata sequences
  sql_features sql_implementation_info sql_packages sql_parts sql_sizing sql_sizing_profiles table_constraints
  table_privileges tables transforms triggered_update_columns triggers udt_privileges usage_privileges
  user_defined_types view_column_usage view_routine_usage view_table_usage views`)

const SYSTEM_SCHEMAS: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['pg_catalog', CATALOGUE],
  ['information_schema', INFORMATION_SCHEMA],
])

/** Holds definitions only, but for a guarded column. */
export function holdsDefinitionsOnly(schema: string, name: string): boolean {
  return SYSTEM_SCHEMAS.get(schema)?.has(name) ?? false
}

export function isSystemSchema(schema: string): boolean {
  return SYSTEM_SCHEMAS.has(schema)
}

/**
 * Columns among them that hold values, statements or secrets, by relation. `attmissingval` is what rows written before
 * ALTER TABLE ... ADD COLUMN ... DEFAULT have in the new column.
 */
export const GUARDED_COLUMNS: ReadonlyMap<string, string> = new Map([
  ['pg_attribute', 'attmissingval'],
  ['pg_cursors', 'statement'],
  ['pg_prepared_statements', 'statement'],
  ['pg_stat_activity', 'query'],
  ['pg_subscription', 'subconninfo'],
  ['pg_user_mapping', 'umoptions'],
  ['pg_user_mappings', 'umoptions'],
])

/** Helpers of the information_schema that pgjdbc and others call by name: they only compute. */
const HELPERS = words(`
  _pg_char_max_length _pg_char_octet_length _pg_datetime_precision _pg_expandarray _pg_index_position
  _pg_interval_type _pg_keysequal _pg_numeric_precision _pg_numeric_precision_radix _pg_numeric_scale _pg_truetypid
  _pg_truetypmod`)

/** Its types: domains over built-in types, whose conditions only compute. */
const INFORMATION_TYPES = words('cardinal_number character_data sql_identifier time_stamp yes_or_no')

export function isInformationSchemaType(name: string): boolean {
  return INFORMATION_TYPES.has(name)
}

export function isInformationSchemaHelper(name: string): boolean {
  return HELPERS.has(name)
}

/** Types of pg_catalog whose input, output and casts are the server's own. Row types of its relations are not here. */
const TYPES = words(`
  aclitem bit bool box bpchar bytea char cid cidr circle date datemultirange daterange float4 float8 inet int2
  int2vector int4 int4multirange int4range int8 int8multirange int8range interval json jsonb jsonpath line lseg macaddr
  macaddr8 money name numeric nummultirange numrange oid oidvector path pg_lsn pg_node_tree pg_snapshot point polygon
  record refcursor regclass regcollation regconfig regdictionary regnamespace regoper regoperator regproc regprocedure
  regrole regtype text tid time timestamp timestamptz timetz tsmultirange tsquery tsrange tstzmultirange tstzrange
  tsvector txid_snapshot unknown uuid varbit varchar void xid xid8 xml
  any anyarray anyelement anynonarray anyenum anyrange trigger`)

/** What the grammar makes of `serial` in a column definition: no types, only ways to write int4 with a sequence. */
const SERIALS = words('serial serial2 serial4 serial8 smallserial bigserial')

export function isBuiltinType(name: string): boolean {
  return TYPES.has(name) || SERIALS.has(name) || (name.startsWith('_') && TYPES.has(name.slice(1)))
}
