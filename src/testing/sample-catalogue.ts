import type { LabelAssignment } from '../core/index.ts'
import { brand } from '../core/index.ts'
import type { Catalogue, CatalogueParts, RelationKind } from '../sql/index.ts'
import { assembleCatalogue } from '../sql/index.ts'

const TEXT = 25
const INT4 = 23

type Table = {
  readonly oid: number
  readonly schema?: string
  readonly name: string
  readonly kind?: RelationKind
  readonly columns: readonly string[]
  readonly hasTriggers?: boolean
  readonly hasRules?: boolean
}

/** The tables that tests of the SQL analysis speak of: customers, people, events and audited hold protected columns. */
const TABLES: readonly Table[] = [
  {
    oid: 20001,
    name: 'customers',
    columns: ['id', 'name', 'email', 'phone', 'plan', 'country', 'created_at'],
  },
  { oid: 20002, name: 'orders', columns: ['id', 'customer_id', 'total', 'note', 'created_at'] },
  { oid: 20003, name: 'leads', columns: ['id', 'email', 'source'] },
  { oid: 20004, name: 'events', kind: 'p', columns: ['id', 'at', 'contact_email', 'kind'] },
  { oid: 20005, name: 'events_2024', columns: ['id', 'contact_email', 'at', 'kind'] },
  { oid: 20006, name: 'people', columns: ['id', 'name', 'ssn'] },
  { oid: 20007, name: 'staff', columns: ['id', 'name', 'ssn', 'salary'] },
  { oid: 20008, name: 'audited', columns: ['id', 'email', 'note'], hasTriggers: true },
  { oid: 20009, name: 'customer_list', kind: 'v', columns: ['id', 'name', 'email'] },
  { oid: 20010, name: 'customer_names', kind: 'v', columns: ['id', 'n'] },
  { oid: 20011, name: 'order_totals', kind: 'v', columns: ['customer_id', 'total'] },
  { oid: 20012, name: 'stats_view', kind: 'v', columns: ['tablename', 'v'] },
  { oid: 20013, name: 'calls_function', kind: 'v', columns: ['x'] },
  { oid: 20014, name: 'customer_mat', kind: 'm', columns: ['country', 'count'] },
  { oid: 20015, name: 'feelings', columns: ['id', 'mood'] },
  { oid: 20016, name: 'orders_id_seq', kind: 'S', columns: [] },
  { oid: 20017, name: 'ruled', columns: ['id', 'x'], hasRules: true },
  { oid: 20018, schema: 'app', name: 'ledger', columns: ['id', 'amount'] },
  { oid: 20019, schema: 'app', name: 'sorted', kind: 'p', columns: ['id', 'contact_email', 'note'] },
  { oid: 20020, schema: 'app', name: 'sorted_1', columns: ['id', 'contact_email', 'note'] },
]

/** As pg_get_viewdef tells them with an empty search path. */
const VIEWS: Readonly<Record<string, string>> = {
  customer_list: ' SELECT id,\n    name,\n    email\n   FROM public.customers;',
  customer_names: ' SELECT id,\n    upper(name) AS n\n   FROM public.customer_list;',
  order_totals:
    ' SELECT customer_id,\n    sum(total) AS total\n   FROM public.orders\n  GROUP BY customer_id;',
  stats_view: ' SELECT tablename,\n    (most_common_vals)::text AS v\n   FROM pg_stats;',
  calls_function: ' SELECT public.get_email(1) AS x;',
  customer_mat: ' SELECT country,\n    count(*) AS count\n   FROM public.customers\n  GROUP BY country;',
}

export const SAMPLE_LABELS: readonly LabelAssignment[] = [
  { pattern: 'public.customers.email', label: brand('pii.email') },
  { pattern: 'public.customers.phone', label: brand('pii.phone') },
  { pattern: '*.*.contact_email', label: brand('pii.email') },
  { pattern: 'public.people.ssn', label: brand('secret') },
  { pattern: 'public.audited.email', label: brand('pii.email') },
]

/** What a server would say of these tables. `more` adds to them or replaces parts. */
export function sampleParts(more: Partial<CatalogueParts> = {}): CatalogueParts {
  return {
    epoch: 1,
    database: 'crm',
    searchPath: '"$user", public',
    relations: TABLES.map(({ oid, schema, name, kind, hasTriggers, hasRules }) => ({
      oid,
      schema: schema ?? 'public',
      name,
      kind: kind ?? 'r',
      hasTriggers: hasTriggers ?? false,
      hasRules: hasRules ?? false,
    })),
    columns: TABLES.flatMap((table) =>
      table.columns.map((name, i) => ({
        relation: table.oid,
        // One column was dropped: numbers and positions are not the same.
        attribute: i < 2 ? i + 1 : i + 2,
        name,
        type: name === 'id' ? INT4 : TEXT,
      })),
    ),
    inherits: [
      { child: 20005, parent: 20004 },
      { child: 20007, parent: 20006 },
      { child: 20020, parent: 20019 },
    ],
    partitioned: [
      { relation: 20004, attribute: 2 },
      { relation: 20019, attribute: 2 },
    ],
    generated: [],
    ruleReads: [
      { relation: 20009, of: 20001 },
      { relation: 20010, of: 20009 },
      { relation: 20011, of: 20002 },
      { relation: 20012, of: 11001 },
      { relation: 20014, of: 20001 },
      { relation: 20017, of: 20001 },
    ],
    ruleCalls: [
      { relation: 20011, schema: 'pg_catalog', name: 'sum', builtin: true, operator: false, extension: null },
      {
        relation: 20013,
        schema: 'public',
        name: 'get_email',
        builtin: false,
        operator: false,
        extension: null,
      },
    ],
    system: [
      { oid: 11001, schema: 'pg_catalog', name: 'pg_stats' },
      { oid: 11002, schema: 'pg_catalog', name: 'pg_class' },
      { oid: 11003, schema: 'pg_catalog', name: 'pg_attribute' },
      { oid: 11004, schema: 'pg_catalog', name: 'pg_stat_activity' },
      { oid: 11005, schema: 'pg_catalog', name: 'pg_authid' },
      { oid: 11006, schema: 'pg_catalog', name: 'pg_shadow' },
      { oid: 11007, schema: 'pg_catalog', name: 'pg_largeobject' },
      { oid: 11008, schema: 'pg_catalog', name: 'pg_statistic' },
      { oid: 11009, schema: 'pg_catalog', name: 'pg_type' },
      { oid: 11010, schema: 'pg_catalog', name: 'pg_prepared_statements' },
      { oid: 11011, schema: 'pg_catalog', name: 'pg_settings' },
      { oid: 11012, schema: 'information_schema', name: 'columns' },
      { oid: 11013, schema: 'information_schema', name: 'user_mapping_options' },
    ],
    functions: [
      { schema: 'public', name: 'get_email', volatile: false, extension: null },
      { schema: 'public', name: 'do_things', volatile: true, extension: null },
      { schema: 'public', name: 'similarity', volatile: false, extension: 'pg_trgm' },
      { schema: 'public', name: 'crosstab', volatile: true, extension: 'tablefunc' },
    ],
    operators: [
      { name: '%', extension: 'pg_trgm' },
      { name: '===', extension: null },
    ],
    types: [
      { oid: 20101, schema: 'public', name: 'mood', form: 'e', base: 0, userChecks: false, extension: null },
      {
        oid: 20102,
        schema: 'public',
        name: '_mood',
        form: 'b',
        base: 20101,
        userChecks: false,
        extension: null,
      },
      {
        oid: 20103,
        schema: 'public',
        name: 'posint',
        form: 'd',
        base: 23,
        userChecks: false,
        extension: null,
      },
      {
        oid: 20104,
        schema: 'public',
        name: 'checked',
        form: 'd',
        base: 23,
        userChecks: true,
        extension: null,
      },
      {
        oid: 20105,
        schema: 'public',
        name: 'customers',
        form: 'c',
        base: 0,
        userChecks: false,
        extension: null,
        relation: 20001,
      },
      {
        oid: 20108,
        schema: 'public',
        name: 'orders',
        form: 'c',
        base: 0,
        userChecks: false,
        extension: null,
        relation: 20002,
      },
      {
        oid: 20106,
        schema: 'public',
        name: 'citext',
        form: 'b',
        base: 0,
        userChecks: false,
        extension: 'citext',
      },
      { oid: 20107, schema: 'public', name: 'odd', form: 'b', base: 0, userChecks: false, extension: null },
    ],
    casts: [],
    views: Object.entries(VIEWS).map(([name, definition]) => ({
      relation: TABLES.find((table) => table.name === name)?.oid ?? 0,
      definition,
    })),
    ...more,
  }
}

export function sampleCatalogue(
  more: Partial<CatalogueParts> = {},
  labels: readonly LabelAssignment[] = SAMPLE_LABELS,
): Catalogue {
  return assembleCatalogue(sampleParts(more), labels)
}
