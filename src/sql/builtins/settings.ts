import type { VariableSetStmt } from 'libpg-query'
import type { CommandClass } from '../../core/command.ts'
import { constantText } from '../parse/tree.ts'

/**
 * What changing a setting of the session means. An allow-list: a setting that is not here changes the server, the
 * session's rights or how text is read, until shown otherwise.
 */

/**
 * How results look, how long things may take, how plans are made. Names in lower case, as the server compares them.
 * Without `row_security` no row passes its policies: what they would apply to fails.
 * https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-ROW-SECURITY
 */
const HARMLESS: ReadonlySet<string> = new Set(
  `application_name array_nulls bytea_output check_function_bodies client_connection_check_interval client_min_messages
  compute_query_id constraint_exclusion cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost cursor_tuple_fraction
  datestyle deadlock_timeout debug_parallel_query debug_pretty_print default_statistics_target
  default_table_access_method default_toast_compression
  default_transaction_deferrable default_transaction_isolation effective_cache_size effective_io_concurrency
  enable_async_append enable_bitmapscan enable_distinct_reordering enable_gathermerge enable_group_by_reordering
  enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material
  enable_memoize enable_mergejoin enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning
  enable_partitionwise_aggregate enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination
  enable_seqscan enable_sort enable_tidscan escape_string_warning extra_float_digits force_parallel_mode
  from_collapse_limit geqo geqo_effort geqo_generations geqo_pool_size geqo_seed geqo_selection_bias geqo_threshold
  gin_fuzzy_search_limit hash_mem_multiplier idle_in_transaction_session_timeout idle_session_timeout intervalstyle jit
  jit_above_cost jit_inline_above_cost jit_optimize_above_cost join_collapse_limit lc_monetary lc_numeric lc_time
  lock_timeout maintenance_work_mem max_parallel_maintenance_workers max_parallel_workers
  max_parallel_workers_per_gather min_parallel_index_scan_size min_parallel_table_scan_size
  parallel_leader_participation parallel_setup_cost parallel_tuple_cost plan_cache_mode quote_all_identifiers
  random_page_cost recursive_worktable_factor row_security seed seq_page_cost statement_timeout synchronize_seqscans
  synchronous_commit tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval tcp_user_timeout temp_buffers
  timezone transaction_deferrable transaction_isolation transaction_timeout work_mem xmlbinary xmloption`
    .trim()
    .split(/\s+/),
)

/** Harmless with one of these values only. `utf8` because the parser and the server must read the same text. */
const HARMLESS_VALUES: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['client_encoding', new Set(['utf8', 'utf-8', 'unicode'])],
  ['standard_conforming_strings', new Set(['on', 'true', 'yes', '1'])],
  ['default_transaction_read_only', new Set(['on', 'true', 'yes', '1'])],
  ['transaction_read_only', new Set(['on', 'true', 'yes', '1'])],
])

export type SettingChange = {
  readonly class: CommandClass
  /** May happen in a session that is watched for labels: names, rights and lexing stay as they are. */
  readonly safe: boolean
}

const SAFE: SettingChange = { class: 'read', safe: true }
const UNSAFE: SettingChange = { class: 'administer', safe: false }

/** `value` undefined: not known before it runs, or a reset to the session's own default. */
export function changeOf(name: string, value: string | undefined): SettingChange {
  const key = name.toLowerCase()
  if (HARMLESS.has(key)) return SAFE
  const values = HARMLESS_VALUES.get(key)
  if (values !== undefined && value !== undefined && values.has(value.toLowerCase())) return SAFE
  // Another order of schemas changes what names mean. It is the caller's own right; labels need to know the names.
  if (key === 'search_path') return { class: 'read', safe: false }
  // Known to the application only: what its own row policies look at.
  if (isCustom(key)) return SAFE
  // Leaving read-only mode asks for nothing but to write; the statements that write are judged themselves.
  if (key === 'transaction_read_only' || key === 'default_transaction_read_only')
    return { class: 'write', safe: true }
  return UNSAFE
}

/**
 * Libraries and languages that the server or its extensions bring, whose settings start code or write logs. Whatever
 * begins like the server's own words is taken for one of them.
 */
const LIBRARIES: ReadonlySet<string> = new Set(
  `auto_explain anon auth_delay basic_archive citus cron dblink file_fdw hypopg orafce passwordcheck repmgr sepgsql
  session_exec supautils timescaledb vectorscale wal2json zombodb hll age safeupdate set_user system_stats`
    .trim()
    .split(/\s+/),
)

/** `app.tenant` and its like. https://www.postgresql.org/docs/current/runtime-config-custom.html */
function isCustom(key: string): boolean {
  const [prefix = '', ...rest] = key.split('.')
  if (rest.length === 0 || !/^[a-z_][a-z0-9_$]*$/.test(prefix)) return false
  return !prefix.startsWith('pg') && !prefix.startsWith('pl') && !LIBRARIES.has(prefix)
}

/** What a SET or RESET statement changes. */
export function changeOfStatement(statement: VariableSetStmt): SettingChange {
  const name = statement.name ?? ''
  switch (statement.kind) {
    case 'VAR_SET_VALUE':
    case 'VAR_SET_CURRENT': {
      const args = statement.args ?? []
      return changeOf(name, args.length === 1 ? constantText(args[0]) : undefined)
    }
    // Back to what the session began with, which the gateway knows and has pinned: as safe as the start was. The role
    // is different: RESET ROLE takes rights back that a SET ROLE at the start gave away.
    case 'VAR_SET_DEFAULT':
    case 'VAR_RESET':
      return name === 'role' || name === 'session_authorization' ? UNSAFE : resetOf(name)
    case 'VAR_RESET_ALL':
      return SAFE
    case 'VAR_SET_MULTI':
      return multiOf(statement)
    default:
      return UNSAFE
  }
}

function resetOf(name: string): SettingChange {
  const key = name.toLowerCase()
  return HARMLESS.has(key) || HARMLESS_VALUES.has(key) || key === 'search_path' || isCustom(key)
    ? SAFE
    : UNSAFE
}

/**
 * SET TRANSACTION and SET SESSION CHARACTERISTICS: a list of settings, the modes as the integers 0 and 1.
 * SET TRANSACTION SNAPSHOT is one more form.
 */
function multiOf(statement: VariableSetStmt): SettingChange {
  if (statement.name === 'TRANSACTION SNAPSHOT') return SAFE
  let strictest = SAFE
  for (const arg of statement.args ?? []) {
    if (!('DefElem' in arg)) return UNSAFE
    const change = changeOf(arg.DefElem.defname ?? '', constantText(arg.DefElem.arg))
    if (change.class === 'administer') return change
    if (change.class === 'write') strictest = change
  }
  return strictest
}
