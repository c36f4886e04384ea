import type { Command, SessionChanges } from '../../../core/index.ts'
import { cutAt, parameterText, safe } from '../../../core/index.ts'
import type { Given, Mark, SettingSaid } from '../../../sql/index.ts'
import { changeOf } from '../../../sql/index.ts'

/** A change that holds, in words. */
type Change = {
  /** What is changed: a later change of the same takes its place. */
  readonly of: string
  readonly line: string
  /** Only until the end of the transaction. */
  readonly local: boolean
  /** Role, names or what nobody knows. */
  readonly moves: boolean
}

/** What a session has changed, a value: to take something back is to take up an earlier one. */
export type ChangesSaid = {
  readonly all: readonly Change[]
  /** There have been more than are remembered. */
  readonly more: boolean
}

export const NO_CHANGES: ChangesSaid = { all: [], more: false }

/** Lines for people, beyond which they are told that there are more. */
const LINES_MAX = 20
/** Characters of a value. */
const VALUE_MAX = 200
const NAMES_MAX = 5

/** Who acts, and what names stand for; and whether triggers run. */
const MOVING: ReadonlySet<string> = new Set([
  'search_path',
  'role',
  'session_authorization',
  'session_replication_role',
])

/** What every driver sets at the start and what is shown elsewhere. */
const USUAL: ReadonlySet<string> = new Set([
  'user',
  'database',
  'application_name',
  'client_encoding',
  'extra_float_digits',
])

/** Settings of applications in which credentials are kept, by their names. */
const SECRET_NAME =
  /pass(?:word|wd|phrase)?|secret|token|jwt|claims|credential|cookie|bearer|api.?key|private/i
/** What looks like a token, a key or a hash, whatever it is called. */
const SECRET_VALUE = /eyJ[\w-]{8,}|[A-Za-z0-9+/_-]{32,}|[a-z]+:\/\/[^\s/]*:[^\s/]*@/

/** What the client has set when it began. */
export function changesAtStart(parameters: ReadonlyMap<string, string>): ChangesSaid {
  let changes = NO_CHANGES
  for (const [name, value] of parameters) {
    const key = name.toLowerCase()
    if (USUAL.has(key) || key.startsWith('_pq_.')) continue
    const line = `${safe(key)} = ${valueText(key, value)}, from its start`
    // `options` holds settings by themselves.
    const moves = MOVING.has(key) || key === 'options' || !changeOf(key, value).safe
    changes = added(changes, { of: `setting ${key}`, line, local: false, moves })
  }
  return changes
}

/** The same after a statement of which this is known. `writes`: what it names. */
export function changesAfter(
  before: ChangesSaid,
  mark: Extract<Mark, { readonly kind: 'local' | 'change' | 'make' | 'define' | 'settle' }>,
  writes: readonly string[],
  command: Pick<Command, 'parameters' | 'readings' | 'recorded'>,
): ChangesSaid {
  const names = namesText(writes)
  switch (mark.kind) {
    case 'local':
    case 'change': {
      const { says = [] } = mark
      if (says.length === 0) {
        const line = 'a statement that may change what later ones mean'
        return added(before, { of: line, line, local: mark.kind === 'local', moves: true })
      }
      return says.reduce((changes, each) => added(changes, settingChange(each, command)), before)
    }
    case 'make': {
      const line = `made for itself alone: ${names === '' ? 'a temporary object' : names}`
      return added(before, { of: line, line, local: false, moves: true })
    }
    case 'define':
    case 'settle': {
      const line = `changed definitions${names === '' ? '' : ` of ${names}`}`
      return added(before, { of: line, line, local: false, moves: false })
    }
  }
}

/** What is left when its transaction is committed. */
export function changesCommitted({ all, more }: ChangesSaid): ChangesSaid {
  return { all: all.filter(({ local }) => !local), more }
}

/** As people read it. `lost`: something has run of which nobody knows what it has changed. `redefined`: others do not see it yet. */
export function changesText({ all, more }: ChangesSaid, lost: boolean, redefined: boolean): SessionChanges {
  return {
    changes: [
      ...(more ? ['more than is remembered'] : []),
      ...all.map(({ line, local }) => (local ? `${line}, until its transaction ends` : line)),
      ...(redefined ? ['definitions in a transaction that is not committed'] : []),
      ...(lost ? ['perhaps anything: code has run in it that nobody can see into'] : []),
    ],
    moved: lost || more || redefined || all.some(({ moves }) => moves),
  }
}

function settingChange(
  { name, value, local }: SettingSaid,
  command: Pick<Command, 'parameters' | 'readings' | 'recorded'>,
): Change {
  const key = typeof name === 'string' ? name : textOf(name, command)?.toLowerCase()
  // Values of protected columns may stand in it.
  const isSealed = command.recorded !== undefined && command.recorded.sealed.length > 0
  const known = key ?? 'a setting that is not known'
  const text = value === undefined ? undefined : textOf(value, command)
  const isDefault = value === undefined || (known === 'role' && text?.toLowerCase() === 'none')
  const said = isDefault
    ? 'as by default'
    : isSealed
      ? '(protected)'
      : valueText(known, text ?? '(not known)')
  return {
    of: `setting ${known}`,
    line: `${safe(cutAt(known, VALUE_MAX))} = ${said}`,
    local,
    moves: key === undefined || (MOVING.has(key) && !isDefault),
  }
}

function textOf(
  given: Given,
  { parameters, readings }: Pick<Command, 'parameters' | 'readings'>,
): string | undefined {
  if (typeof given === 'string') return given
  const value = parameters?.[given.parameter - 1]
  if (value === undefined || value === null) return undefined
  const reading = readings?.[given.parameter - 1]
  return reading === undefined || reading.startsWith('text')
    ? Buffer.from(value).toString('utf8')
    : parameterText(value, reading)
}

function valueText(name: string, value: string): string {
  if (SECRET_NAME.test(name) || SECRET_VALUE.test(value)) return `(${value.length} characters, not shown)`
  if (value.length <= VALUE_MAX) return safe(value)
  return `${safe(cutAt(value, VALUE_MAX))}... (${value.length} characters)`
}

function namesText(writes: readonly string[]): string {
  const first = writes.slice(0, NAMES_MAX).map((each) => safe(cutAt(each, VALUE_MAX)))
  return `${first.join(', ')}${writes.length > NAMES_MAX ? `, and ${writes.length - NAMES_MAX} more` : ''}`
}

function added({ all, more }: ChangesSaid, change: Change): ChangesSaid {
  // What holds for a transaction alone gives way to what was before it.
  const others = change.local ? all : all.filter((each) => each.of !== change.of)
  const kept = [...others.filter((each) => !(each.local && each.of === change.of)), change]
  return kept.length <= LINES_MAX ? { all: kept, more } : { all: kept.slice(1), more: true }
}
