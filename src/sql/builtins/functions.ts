import type { CommandClass } from '../../core/command.ts'
import { OPERATOR_FUNCTIONS } from './operator-functions.ts'

/**
 * What PostgreSQL's built-in functions (13 to 18) do, by name. Allow-lists only: a function that is on no list here
 * is not known, and what is not known is opaque.
 *
 * Names are enough because a user-defined function of the same name makes a name untrusted (see `names.ts`).
 */

const words = (text: string): readonly string[] => text.trim().split(/\s+/)

/** Aggregates: one row comes out of a whole group. */
export const AGGREGATES: ReadonlySet<string> = new Set(
  words(`
  any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every json_agg
  json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict jsonb_agg
  jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict max
  min mode percentile_cont percentile_disc range_agg range_intersect_agg regr_avgx regr_avgy regr_count regr_intercept
  regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance
  xmlagg`),
)

/**
 * Compute from their arguments, the clock, the session or the catalogue's definitions; read no table's rows, run no
 * text as SQL, open no file, change nothing. `lower(x)` is here; `query_to_xml(x)` and `ts_stat(x)` are not.
 */
export const HARMLESS: ReadonlySet<string> = new Set([
  ...AGGREGATES,
  ...OPERATOR_FUNCTIONS,
  ...words(`
  abbrev abs acldefault aclcontains aclexplode acos acosd acosh age area array_append array_cat array_dims array_fill
  array_larger array_length array_lower array_ndims array_position array_positions array_prepend array_remove
  array_replace array_reverse array_sample array_shuffle array_smaller array_sort array_to_json array_to_string
  array_to_tsvector array_upper ascii asin asind asinh atan atan2 atan2d atand atanh bit bit_count bool bytea cidr macaddr macaddr8 bit_length
  bound_box box bpchar broadcast btrim cardinality casefold cash_words cbrt ceil ceiling center char char_length
  character_length chr circle clock_timestamp col_description concat concat_ws convert convert_from convert_to cos cosd
  cosh cot cotd crc32 crc32c cume_dist current_database current_query current_schema current_schemas current_setting
  current_user currval date date_add date_bin date_part date_subtract date_trunc datemultirange daterange decode degrees
  dense_rank diagonal diameter div encode enum_first enum_last enum_range erf erfc exp extract factorial family
  first_value float4 float8 floor format format_type gamma gcd gen_random_uuid generate_series generate_subscripts
  get_bit get_byte get_current_ts_config getdatabaseencoding has_any_column_privilege has_column_privilege
  has_database_privilege has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege
  has_largeobject_privilege has_parameter_privilege has_schema_privilege has_sequence_privilege has_server_privilege
  has_table_privilege has_tablespace_privilege has_type_privilege hashtext hashtextextended height host hostmask
  icu_unicode_version inet_client_addr inet_client_port inet_merge inet_same_family inet_server_addr inet_server_port
  initcap int2 int4 int4multirange int4range int8 int8multirange int8range interval is_normalized isclosed isempty
  isfinite ishorizontal isopen isparallel isperp isvertical json_array_elements json_array_elements_text
  json_array_length json_build_array json_build_object json_each json_each_text json_extract_path
  json_extract_path_text json_object json_object_keys json_populate_record json_populate_recordset json_scalar
  json_strip_nulls json_to_record json_to_recordset json_to_tsvector json_typeof jsonb_array_elements
  jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_concat jsonb_contains
  jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all jsonb_exists_any jsonb_extract_path
  jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_keys jsonb_path_exists
  jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz jsonb_path_query jsonb_path_query_array
  jsonb_path_query_array_tz jsonb_path_query_first jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record
  jsonb_populate_record_valid jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls
  jsonb_to_record jsonb_to_recordset jsonb_to_tsvector jsonb_typeof justify_days justify_hours justify_interval lag
  last_value lcm lead left length lgamma like_escape line ln log log10 lower lower_inc lower_inf lpad lseg ltrim
  json json_array json_arrayagg json_exists json_objectagg json_query json_serialize json_table json_value
  macaddr8_set7bit make_date make_interval make_time make_timestamp make_timestamptz makeaclitem masklen md5 merge_action
  min_scale mod money multirange mxid_age name netmask network normalize now npoints nth_value ntile num_nonnulls
  num_nulls numeric numnode nummultirange numrange obj_description octet_length oid oidvectortypes overlaps overlay
  parse_ident path pclose percent_rank pg_available_extension_versions pg_available_extensions pg_backend_pid
  pg_basetype pg_char_to_encoding pg_client_encoding pg_collation_for pg_collation_is_visible pg_column_compression
  pg_column_is_updatable pg_column_size pg_conf_load_time pg_conversion_is_visible pg_current_snapshot
  pg_current_xact_id_if_assigned pg_describe_object pg_encoding_max_length pg_encoding_to_char pg_function_is_visible
  pg_get_acl pg_get_catalog_foreign_keys pg_get_constraintdef pg_get_expr pg_get_function_arg_default
  pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result pg_get_function_sqlbody
  pg_get_functiondef pg_get_indexdef pg_get_keywords pg_get_object_address pg_get_partition_constraintdef
  pg_get_partkeydef pg_get_publication_tables pg_get_replica_identity_index pg_get_ruledef pg_get_serial_sequence
  pg_get_statisticsobjdef pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_triggerdef
  pg_get_userbyid pg_get_viewdef pg_has_role pg_identify_object pg_identify_object_as_address
  pg_index_column_has_property pg_index_has_property pg_indexam_has_property
  pg_is_in_recovery pg_is_other_temp_schema pg_jit_available pg_listening_channels pg_lsn pg_my_temp_schema
  pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible pg_options_to_table pg_partition_ancestors
  pg_partition_root pg_partition_tree pg_postmaster_start_time pg_relation_filenode pg_relation_filepath
  pg_relation_is_publishable pg_relation_is_updatable pg_sequence_parameters pg_settings_get_flags pg_show_all_settings
  pg_size_bytes pg_size_pretty pg_snapshot_xip pg_snapshot_xmax pg_snapshot_xmin pg_statistics_obj_is_visible
  pg_table_is_visible pg_tablespace_databases pg_tablespace_location pg_timezone_abbrevs pg_timezone_names
  pg_trigger_depth pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible
  pg_type_is_visible pg_typeof pg_visible_in_snapshot pg_wal_lsn_diff pg_walfile_name pg_walfile_name_offset
  phraseto_tsquery pi plainto_tsquery point polygon popen position pow power querytree quote_ident quote_literal
  quote_nullable radians radius random random_normal range_merge rank regclass regexp_count regexp_instr regexp_like
  regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr repeat replace
  reverse right round row_number row_security_active row_to_json rpad rtrim scale session_user set_bit set_byte
  set_masklen setweight sha224 sha256 sha384 sha512 shobj_description sign similar_escape similar_to_escape sin sind
  sinh slope split_part sqrt statement_timestamp string_to_array string_to_table strip strpos substr substring
  tan tand tanh text time timeofday timestamp timestamptz timetz timezone to_ascii to_bin to_char to_date
  to_hex to_json to_jsonb to_number to_oct to_regclass to_regcollation to_regnamespace to_regoper to_regoperator
  to_regproc to_regprocedure to_regrole to_regtype to_regtypemod to_timestamp to_tsquery to_tsvector
  transaction_timestamp translate trim_array trim_scale trunc ts_debug ts_delete ts_filter ts_headline ts_lexize
  ts_parse ts_rank ts_rank_cd ts_token_type tsmultirange tsquery_phrase tsrange tstzmultirange tstzrange
  tsvector_to_array txid_current_if_assigned txid_current_snapshot txid_snapshot_xip txid_snapshot_xmax
  txid_snapshot_xmin txid_visible_in_snapshot unicode_assigned unicode_version unistr unnest upper upper_inc upper_inf
  uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7 varbit varchar version websearch_to_tsquery width
  width_bucket xid xml xml_is_well_formed xml_is_well_formed_content xml_is_well_formed_document xmlcomment xmlexists
  xmltext xpath xpath_exists
  getpgusername pg_extension_update_paths pg_filenode_relation pg_numa_available pg_split_walfile_name
  pg_timezone_abbrevs_abbrevs pg_timezone_abbrevs_zone system_user`),
])

/**
 * Change no data and show no row of any table, but act on the session, wait, or look at the state of the server. Fine
 * by themselves; kept out of statements that read labelled tables (a conditional wait or lock is a side channel).
 */
export const QUIET: ReadonlySet<string> = new Set(
  words(`
  lastval pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared
  pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_blocking_pids pg_collation_actual_version
  pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn pg_current_xact_id pg_database_collation_actual_version
  pg_database_size pg_export_snapshot pg_indexes_size pg_is_wal_replay_paused pg_isolation_test_session_is_blocked
  pg_last_committed_xact pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp
  pg_notification_queue_usage pg_relation_size pg_safe_snapshot_blocking_pids pg_sequence_last_value pg_sleep
  pg_sleep_for pg_sleep_until pg_stat_clear_snapshot pg_stat_get_analyze_count pg_stat_get_autoanalyze_count
  pg_stat_get_autovacuum_count pg_stat_get_dead_tuples pg_stat_get_last_analyze_time pg_stat_get_last_autoanalyze_time
  pg_stat_get_last_autovacuum_time pg_stat_get_last_vacuum_time pg_stat_get_live_tuples pg_stat_get_mod_since_analyze
  pg_stat_get_numscans pg_stat_get_tuples_deleted pg_stat_get_tuples_fetched pg_stat_get_tuples_inserted
  pg_stat_get_tuples_returned pg_stat_get_tuples_updated pg_stat_get_vacuum_count pg_table_size pg_tablespace_size
  pg_total_relation_size pg_try_advisory_lock pg_try_advisory_lock_shared pg_try_advisory_xact_lock
  pg_try_advisory_xact_lock_shared pg_xact_commit_timestamp pg_xact_status setseed txid_current txid_status
  pg_stat_force_next_flush pg_stat_get_backend_activity_start pg_stat_get_backend_client_addr
  pg_stat_get_backend_client_port pg_stat_get_backend_dbid pg_stat_get_backend_start pg_stat_get_backend_subxact
  pg_stat_get_backend_userid pg_stat_get_backend_wait_event pg_stat_get_backend_wait_event_type
  pg_stat_get_backend_xact_start pg_stat_get_bgwriter_buf_written_checkpoints pg_stat_get_bgwriter_buf_written_clean
  pg_stat_get_bgwriter_maxwritten_clean pg_stat_get_bgwriter_requested_checkpoints
  pg_stat_get_bgwriter_stat_reset_time pg_stat_get_bgwriter_timed_checkpoints pg_stat_get_blocks_fetched
  pg_stat_get_blocks_hit pg_stat_get_buf_alloc pg_stat_get_buf_fsync_backend pg_stat_get_buf_written_backend
  pg_stat_get_checkpoint_sync_time pg_stat_get_checkpoint_write_time pg_stat_get_checkpointer_buffers_written
  pg_stat_get_checkpointer_num_performed pg_stat_get_checkpointer_num_requested pg_stat_get_checkpointer_num_timed
  pg_stat_get_checkpointer_restartpoints_performed pg_stat_get_checkpointer_restartpoints_requested
  pg_stat_get_checkpointer_restartpoints_timed pg_stat_get_checkpointer_slru_written
  pg_stat_get_checkpointer_stat_reset_time pg_stat_get_checkpointer_sync_time pg_stat_get_checkpointer_write_time
  pg_stat_get_db_active_time pg_stat_get_db_blk_read_time pg_stat_get_db_blk_write_time pg_stat_get_db_blocks_fetched
  pg_stat_get_db_blocks_hit pg_stat_get_db_checksum_failures pg_stat_get_db_checksum_last_failure
  pg_stat_get_db_conflict_all pg_stat_get_db_conflict_bufferpin pg_stat_get_db_conflict_lock
  pg_stat_get_db_conflict_logicalslot pg_stat_get_db_conflict_snapshot pg_stat_get_db_conflict_startup_deadlock
  pg_stat_get_db_conflict_tablespace pg_stat_get_db_deadlocks pg_stat_get_db_idle_in_transaction_time
  pg_stat_get_db_numbackends pg_stat_get_db_parallel_workers_launched pg_stat_get_db_parallel_workers_to_launch
  pg_stat_get_db_session_time pg_stat_get_db_sessions pg_stat_get_db_sessions_abandoned pg_stat_get_db_sessions_fatal
  pg_stat_get_db_sessions_killed pg_stat_get_db_stat_reset_time pg_stat_get_db_temp_bytes pg_stat_get_db_temp_files
  pg_stat_get_db_tuples_deleted pg_stat_get_db_tuples_fetched pg_stat_get_db_tuples_inserted
  pg_stat_get_db_tuples_returned pg_stat_get_db_tuples_updated pg_stat_get_db_xact_commit pg_stat_get_db_xact_rollback
  pg_stat_get_function_calls pg_stat_get_function_self_time pg_stat_get_function_total_time
  pg_stat_get_ins_since_vacuum pg_stat_get_lastscan pg_stat_get_progress_info pg_stat_get_slru
  pg_stat_get_snapshot_timestamp pg_stat_get_subscription_stats pg_stat_get_total_analyze_time
  pg_stat_get_total_autoanalyze_time pg_stat_get_total_autovacuum_time pg_stat_get_total_vacuum_time
  pg_stat_get_tuples_hot_updated pg_stat_get_tuples_newpage_updated pg_stat_get_xact_blocks_fetched
  pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls pg_stat_get_xact_function_self_time
  pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans pg_stat_get_xact_tuples_deleted
  pg_stat_get_xact_tuples_fetched pg_stat_get_xact_tuples_hot_updated pg_stat_get_xact_tuples_inserted
  pg_stat_get_xact_tuples_newpage_updated pg_stat_get_xact_tuples_returned pg_stat_get_xact_tuples_updated
  pg_stat_have_stats`),
)

/** Of those that are harmless: one call may return several rows. */
export const SETS: ReadonlySet<string> = new Set(
  words(`
  aclexplode generate_series generate_subscripts json_array_elements json_array_elements_text json_each json_each_text
  json_object_keys json_populate_recordset json_to_recordset jsonb_array_elements jsonb_array_elements_text jsonb_each
  jsonb_each_text jsonb_object_keys jsonb_path_query jsonb_path_query_tz jsonb_populate_recordset jsonb_to_recordset
  pg_available_extension_versions pg_available_extensions pg_extension_update_paths pg_get_catalog_foreign_keys
  pg_get_keywords pg_get_publication_tables pg_listening_channels pg_options_to_table pg_partition_ancestors
  pg_partition_tree pg_show_all_settings pg_snapshot_xip pg_tablespace_databases pg_timezone_abbrevs
  pg_timezone_abbrevs_abbrevs pg_timezone_abbrevs_zone pg_timezone_names regexp_matches regexp_split_to_table
  string_to_table ts_debug ts_parse ts_token_type txid_snapshot_xip unnest`),
)

/** Change rows, sequences, large objects, or speak to other sessions. */
const WRITES = words(`
  lo_creat lo_create lo_from_bytea lo_open lo_put lo_truncate lo_truncate64 lo_unlink lowrite nextval pg_notify setval`)

/** Of those that write: no value but the caller's own goes anywhere, and none comes back. */
export const WRITES_QUIETLY: ReadonlySet<string> = new Set(words('nextval setval pg_notify'))

/** Read only, but large objects, settings of the server and other places that hold values. Never quiet. */
const READS_ELSEWHERE = words(`
  lo_close lo_get lo_lseek lo_lseek64 lo_tell lo_tell64 loread pg_cursor pg_prepared_statement pg_prepared_xact
  pg_lock_status pg_stat_get_activity pg_stat_get_backend_activity pg_stat_get_backend_idset pg_stat_get_backend_pid
  pg_mcv_list_items currtid2 pg_stat_get_wal_senders pg_stat_get_subscription pg_stat_get_replication_slot
  pg_stat_get_archiver pg_stat_get_wal pg_stat_get_io pg_config pg_control_system pg_control_checkpoint
  pg_control_recovery pg_control_init pg_get_replication_slots pg_get_sequence_data pg_get_multixact_members
  pg_filenode_relation pg_stat_get_function_calls pg_stat_get_snapshot_timestamp pg_stat_get_subscription_stats
  pg_stat_have_stats satisfies_hash_partition`)

/**
 * Compute from their arguments as well, but under names that nobody writes who has the operator, cast or aggregate which
 * they are behind. Read only, and not allowed in labelled reach.
 */
const BEHIND_OPERATORS = words(`
  array_in array_out booland_statefunc booleq boolne boolor_statefunc cashlarger cashsmaller circle_center
  elem_contained_by_multirange elem_contained_by_range float4send float8_accum float8_combine float8_regr_accum
  float8_regr_combine float8send hash_aclitem hash_aclitem_extended hash_array hash_array_extended hash_multirange
  hash_multirange_extended hash_numeric hash_numeric_extended hash_range hash_range_extended hash_record
  hash_record_extended hashbpchar hashbpcharextended hashchar hashcharextended hashenum hashenumextended hashfloat4
  hashfloat4extended hashfloat8 hashfloat8extended hashinet hashinetextended hashint2 hashint2extended hashint4
  hashint4extended hashint8 hashint8extended hashmacaddr hashmacaddr8 hashmacaddr8extended hashmacaddrextended hashname
  hashnameextended hashoid hashoidextended hashoidvector hashoidvectorextended int4mul interval_hash
  interval_hash_extended jsonb_contained jsonb_delete jsonb_delete_path jsonb_hash jsonb_hash_extended
  multirange_adjacent_multirange multirange_adjacent_range multirange_contained_by_multirange
  multirange_contained_by_range multirange_contains_elem multirange_contains_multirange multirange_contains_range
  multirange_intersect multirange_minus multirange_overlaps_multirange multirange_overlaps_range multirange_union
  numeric_inc pg_lsn_hash pg_lsn_hash_extended poly_center range_adjacent range_adjacent_multirange range_contained_by
  range_contained_by_multirange range_contains range_contains_elem range_contains_multirange range_intersect range_minus
  range_overlaps range_overlaps_multirange range_union starts_with textcat time_hash time_hash_extended timestamp_hash
  timestamp_hash_extended timetz_hash timetz_hash_extended tsvectorin tsvectorout uuid_hash uuid_hash_extended xid8cmp`)

/** Act on the server, other sessions, replication, or the files of the machine. */
const ADMINISTERS = words(`
  brin_desummarize_range brin_summarize_new_values brin_summarize_range gin_clean_pending_list lo_export lo_import
  pg_backup_start pg_backup_stop pg_cancel_backend pg_clear_attribute_stats pg_clear_relation_stats
  pg_copy_logical_replication_slot pg_copy_physical_replication_slot pg_create_logical_replication_slot
  pg_create_physical_replication_slot pg_create_restore_point pg_current_logfile pg_drop_replication_slot
  pg_file_rename pg_file_sync pg_file_unlink pg_file_write pg_hba_file_rules pg_ident_file_mappings
  pg_import_system_collations pg_log_backend_memory_contexts pg_log_standby_snapshot pg_logical_emit_message
  pg_logical_slot_get_binary_changes pg_logical_slot_get_changes pg_logical_slot_peek_binary_changes
  pg_logical_slot_peek_changes pg_logdir_ls pg_ls_archive_statusdir pg_ls_dir pg_ls_logdir pg_ls_logicalmapdir
  pg_ls_logicalsnapdir pg_ls_replslotdir pg_ls_summariesdir pg_ls_tmpdir pg_ls_waldir pg_promote pg_read_binary_file
  pg_read_file pg_reload_conf pg_replication_origin_advance pg_replication_origin_create pg_replication_origin_drop
  pg_replication_origin_session_reset pg_replication_origin_session_setup pg_replication_origin_xact_reset
  pg_replication_origin_xact_setup pg_replication_slot_advance pg_restore_attribute_stats pg_restore_relation_stats
  pg_rotate_logfile pg_show_all_file_settings pg_start_backup pg_stat_file pg_stat_reset pg_stat_reset_backend_stats
  pg_stat_reset_replication_slot pg_stat_reset_shared pg_stat_reset_single_function_counters
  pg_stat_reset_single_table_counters pg_stat_reset_slru pg_stat_reset_subscription_stats pg_stop_backup pg_switch_wal
  pg_sync_replication_slots pg_terminate_backend pg_wal_replay_pause pg_wal_replay_resume set_config`)

/** Of those that administer: signals to other sessions and the server; no value comes back. */
export const SIGNALS: ReadonlySet<string> = new Set(
  words(
    'pg_cancel_backend pg_terminate_backend pg_reload_conf pg_rotate_logfile pg_stat_reset pg_switch_wal',
  ),
)

const CLASS_OF = new Map<string, CommandClass>([
  ...[...HARMLESS, ...QUIET, ...READS_ELSEWHERE, ...BEHIND_OPERATORS].map((name) => [name, 'read'] as const),
  ...WRITES.map((name) => [name, 'write'] as const),
  ...ADMINISTERS.map((name) => [name, 'administer'] as const),
])

/** Not on any list, so opaque, and can be called as `value.name`. */
const UNLISTED: ReadonlySet<string> = new Set(
  words('amvalidate fmgr_c_validator fmgr_internal_validator fmgr_sql_validator plpgsql_validator ts_stat'),
)

/** Whether a built-in function of this name does more than compute: then `x.name` is not to be taken for a column. */
export function mayBeCalled(name: string): boolean {
  if (HARMLESS.has(name)) return false
  return CLASS_OF.has(name) || UNLISTED.has(name) || /^(pg|lo|binary_upgrade)_/.test(name)
}

/** The class of a built-in function by its name, or `undefined` when the name is not known to be one. */
export function builtinClass(name: string): CommandClass | undefined {
  return CLASS_OF.get(name)
}
