import type { Config } from './config.ts'
import type { Path, Plain } from './tree.ts'
import { pathText } from './tree.ts'

/** One thing that differs between two configurations. */
export type Change = {
  readonly kind: 'added' | 'removed' | 'changed'
  /** `connections.crm.limit.rows`; what is in a list and has a name goes by its name: `rules["read"].when`. */
  readonly path: string
  readonly before?: string
  readonly after?: string
}

/**
 * What changes from one configuration to another, in the order of the file: sections of the new one first, then what
 * is gone. Values are shown as they were written: a secret is only a reference there.
 */
export function diffConfigs(before: Config, after: Config): Change[] {
  return diff(before.content, after.content, [])
}

/** `~ connections.crm.limit.rows: 1000 -> 50`: one line, for a terminal. */
export function formatChange(change: Change): string {
  switch (change.kind) {
    case 'added':
      return `+ ${change.path}: ${change.after ?? ''}`
    case 'removed':
      return `- ${change.path}: ${change.before ?? ''}`
    case 'changed':
      return `~ ${change.path}: ${change.before ?? ''} -> ${change.after ?? ''}`
  }
}

function diff(before: Plain | undefined, after: Plain | undefined, path: Path): Change[] {
  if (before === undefined && after === undefined) return []
  if (before === undefined) return [{ kind: 'added', path: pathText(path), after: show(after) }]
  if (after === undefined) return [{ kind: 'removed', path: pathText(path), before: show(before) }]
  const from = entriesOf(before)
  const to = entriesOf(after)
  if (from === undefined || to === undefined) {
    const same = JSON.stringify(before) === JSON.stringify(after)
    return same ? [] : [{ kind: 'changed', path: pathText(path), before: show(before), after: show(after) }]
  }
  const names = new Set([...to.keys(), ...from.keys()])
  // What is named may move without a change: nothing in a configuration depends on the order of named things.
  return [...names].flatMap((name) => diff(from.get(name), to.get(name), [...path, name]))
}

/** A mapping's entries, or those of a list whose members all have names of their own. */
function entriesOf(value: Plain): ReadonlyMap<string, Plain> | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (!isList(value)) return new Map(Object.entries(value))
  const named = new Map<string, Plain>()
  for (const each of value) {
    if (typeof each !== 'object' || each === null || isList(each)) return undefined
    const { name } = each
    if (typeof name !== 'string' || named.has(name)) return undefined
    named.set(name, each)
  }
  return named.size === 0 ? undefined : named
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value)
}

const SHOWN_MAX = 200

/** On one line, in YAML's flow form, which JSON is. */
function show(value: Plain | undefined): string {
  const text = JSON.stringify(value) ?? ''
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX - 3)}...`
}
