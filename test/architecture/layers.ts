/**
 * Who may import whom. `ARCHITECTURE.md` shows this table; a test holds the two against each other. To change it,
 * change both in one commit and say why.
 */

/** A folder of `src/`, or one file of it. `wire/*` stands for each folder in it. */
type Row = { readonly folder: string; readonly may: readonly string[]; readonly note?: string }

const LAYERS: readonly Row[] = [
  { folder: 'core', may: [] },
  { folder: 'wire/*', may: ['core', 'wire/bytes'], note: 'never another format' },
  { folder: 'sql', may: ['core'] },
  { folder: 'apis', may: ['core'] },
  { folder: 'policy', may: ['core'] },
  { folder: 'masking', may: ['core'] },
  { folder: 'recording', may: ['core', 'evidence'] },
  { folder: 'evidence', may: ['core'] },
  {
    folder: 'audit',
    may: ['core', 'evidence', 'recording'],
    note: '`recording` only to open payloads with keys',
  },
  { folder: 'telemetry', may: ['core'] },
  {
    folder: 'config',
    may: ['core', 'evidence/note/keys.ts', 'evidence/system/sha256.ts'],
    note: 'the keys of witnesses are checked with the rest',
  },
  { folder: 'identity', may: ['core'], note: 'its storage is a port it declares' },
  { folder: 'connections', may: ['core'], note: 'its storage is a port it declares' },
  { folder: 'approvals', may: ['core'], note: 'its storage is a port it declares' },
  {
    folder: 'notifications',
    may: ['core', 'approvals', 'config/channel-block.ts'],
    note: 'their storage is a port they declare; `channel-block.ts` is what the file says of a channel',
  },
  { folder: 'budgets', may: ['core'], note: 'their storage is a port they declare' },
  {
    folder: 'session',
    may: ['core', 'policy', 'masking', 'recording', 'identity', 'connections', 'approvals'],
  },
  {
    folder: 'upstream-credentials',
    may: ['core', 'config/values.ts'],
    note: '`values.ts` is what the schema of their settings is made of',
  },
  {
    folder: 'protocols/*',
    may: [
      'core',
      'wire/*',
      'sql',
      'apis/index.ts',
      'session/index.ts',
      'config/values.ts',
      'upstream-credentials/index.ts',
    ],
    note: 'never another protocol; `values.ts` is what the schema of its settings is made of',
  },
  { folder: 'protocols/index.ts', may: ['core', 'protocols/*', 'session/index.ts'], note: 'the registry' },
  {
    folder: 'store',
    may: ['core', 'config', 'identity', 'connections', 'approvals', 'budgets', 'notifications', 'recording'],
    note: 'the ports it implements',
  },
  { folder: 'simulation', may: ['core', 'policy', 'recording', 'session/index.ts'] },
  { folder: 'net', may: ['core'] },
  {
    folder: 'api',
    may: [
      'core',
      'config',
      'identity',
      'connections',
      'approvals',
      'notifications',
      'policy',
      'recording',
      'session',
    ],
    note: 'never `wire` or `protocols`',
  },
  {
    folder: 'cli',
    may: [
      'core',
      'config',
      'policy',
      'sql',
      'recording',
      'evidence',
      'audit',
      'results',
      'sample',
      'api/client.ts',
      'main.ts',
      'composition/configuration.ts',
      'composition/audit-keys.ts',
      'composition/simulation.ts',
      'composition/version.ts',
      'simulation',
    ],
    note: '`main.ts` only to start it; `configuration.ts` to check one offline; `audit-keys.ts` and `simulation.ts` to read a recording offline',
  },
  { folder: 'results', may: ['core', 'wire/*'], note: 'recorded bytes of results as rows and text' },
  { folder: 'sample', may: ['core'], note: 'the database and the API that `npm start` brings' },
  { folder: 'composition', may: ['*'], note: 'parts of `main.ts`' },
  { folder: 'main.ts', may: ['*'], note: 'the composition root; only `cli` starts it' },
  { folder: 'testing', may: ['*'], note: 'only tests import it' },
]

/** Packages and parts of Node that open a way out of the process: not for the pure folders. */
const EFFECTS = [
  /^node:(net|tls|http|https|http2|dgram|dns|child_process|cluster|fs|worker_threads|sqlite|inspector|repl|test)(\/|$)/,
  /^(undici|fastify|pg|pg-.*|kysely|prom-client|commander)(\/|$)/,
]

const EFFECT_GLOBALS = [
  'process.env',
  'fetch',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'WebSocket',
  'XMLHttpRequest',
]

export const PURE = [
  'core',
  'wire',
  'sql',
  'apis',
  'policy',
  'masking',
  'results',
  'evidence/tree',
  'evidence/note',
  'evidence/log',
  'evidence/witness',
  'audit/check',
  'audit/proof',
] as const

/** What a pure folder needs all the same. An exception that nothing uses any more is an error too. */
export const EXCEPTIONS: readonly { readonly path: string; readonly what: string; readonly why: string }[] = [
  {
    path: 'src/sql/parse/instance.ts',
    what: 'node:fs',
    why: 'reads the grammar, which is WebAssembly, once per thread',
  },
  {
    path: 'src/sql/parse/parser.ts',
    what: 'node:worker_threads',
    why: 'a long text may exhaust a stack: not this one',
  },
  { path: 'src/sql/parse/parser.ts', what: 'setTimeout', why: 'ends a worker that does not come back' },
  { path: 'src/sql/parse/parser-worker.ts', what: 'node:worker_threads', why: 'it is that worker' },
  { path: 'src/sql/parse/parser-worker.ts', what: 'node:fs', why: 'asks Linux for the number of its thread' },
  {
    path: 'src/core/clock.ts',
    what: 'setTimeout',
    why: 'it is the port through which all others get timers',
  },
]

export function isEffect(specifier: string): boolean {
  return EFFECTS.some((pattern) => pattern.test(specifier))
}

export function isEffectGlobal(name: string): boolean {
  return EFFECT_GLOBALS.includes(name)
}

/** Where a file belongs: `src/wire/mysql/decode.ts` to `wire/mysql`, `src/main.ts` to `main.ts`. */
export function folderOf(path: string): string {
  const [, first = '', second = ''] = path.split('/')
  if (first === 'wire' || first === 'protocols') return `${first}/${second}`
  return first
}

export function rowOf(folder: string): Row | undefined {
  return (
    LAYERS.find((row) => row.folder === folder) ??
    LAYERS.find((row) => row.folder.endsWith('/*') && folder.startsWith(row.folder.slice(0, -1)))
  )
}

/** True if a file of `row` may import the file at `target` (`src/...`). */
export function allows(row: Row, from: string, target: string): boolean {
  const here = folderOf(from)
  const there = folderOf(target)
  if (here === there) return true
  const file = target.slice('src/'.length)
  return row.may.some(
    (each) =>
      each === '*' ||
      each === there ||
      each === file ||
      (each.endsWith('/*') && there.startsWith(each.slice(0, -1))),
  )
}

/** The table as `ARCHITECTURE.md` shows it. */
export function layersAsMarkdown(): string {
  const rows = LAYERS.map((row) => {
    const may =
      row.may.length === 0
        ? 'nothing'
        : row.may.map((each) => (each === '*' ? 'everything' : `\`${each}\``)).join(', ')
    return `| \`${row.folder}\` | ${may}${row.note === undefined ? '' : ` (${row.note})`} |`
  })
  return ['| folder | may import |', '| --- | --- |', ...rows].join('\n')
}
