import type { Problem, SourceText } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'
import type { CedarJson } from './cedar.ts'
import { parseCedar, placeIn, problemIn, tooComplicated } from './cedar.ts'
import type { Check } from './checks.ts'
import { readsOf } from './reads.ts'
import type { Clause, Clauses, Known } from './rule.ts'
import { literalProblems, tooMuchIn } from './rule.ts'
import type { Action } from './vocabulary.ts'
import { ACTIONS } from './vocabulary.ts'

const PATH = 'cedar'

/**
 * Cedar policies written by experts, as clauses. Annotations say what YAML has words for: `@name("...")`,
 * `@mode("observe")`, `@agents("true")`. A policy counts for every connection and question that its scope leaves open.
 */
export function clausesOfCedar(source: SourceText, known: Known): Clauses {
  const { schemas } = known
  const clauses: Clause[] = []
  const problems: Problem[] = []
  const checks: Check[] = []
  const pieces = splitPolicies(source.text)
  if (pieces.length > LIMITS.rulesMax) {
    const message = `expected at most ${LIMITS.rulesMax} policies, got ${pieces.length}`
    return {
      clauses,
      checks,
      problems: [{ file: source.file, ...source.starts[0], path: PATH, message, fix: 'write fewer' }],
    }
  }
  for (const [index, piece] of pieces.entries()) {
    const tooMuch = tooComplicated(piece.text)
    if (tooMuch !== undefined) {
      problems.push(tooMuchIn(source, PATH, tooMuch, piece.offset))
      continue
    }
    const parsed = parseCedar(piece.text)
    const skip = -Buffer.byteLength(source.text.slice(0, piece.offset))
    if (!parsed.ok) {
      problems.push(
        problemIn(source, PATH, parsed.error, skip, 'write one Cedar policy, ended by a semicolon'),
      )
      continue
    }
    const { json } = parsed
    const place = placeIn(source, piece.offset)
    const at = { file: source.file, ...place, path: PATH }
    const annotations = json.annotations ?? {}
    problems.push(...annotationProblems(annotations, at))
    const connections = connectionsOf(json)
    for (const name of connections ?? []) {
      if (schemas.has(name)) continue
      const names = [...schemas.keys()].join(', ')
      problems.push({
        ...at,
        message: `expected a connection of this configuration, got Connection::"${name}"`,
        fix: names === '' ? 'configure the connection first' : `use one of ${names}`,
      })
    }
    problems.push(...literalProblems(json, source, PATH, known.labels, piece.offset))
    checks.push({
      text: piece.text,
      schemas: new Set(
        [...schemas].flatMap(([name, schema]) => ((connections?.has(name) ?? true) ? [schema] : [])),
      ),
      invalid: (error) =>
        problemIn(source, PATH, error, skip, 'docs/policies.md lists the types, actions and facts'),
      impossible: {
        ...at,
        message: 'expected a policy that can apply, got one that never does',
        fix: 'remove it, or correct its scope and conditions',
      },
    })
    clauses.push({
      id: `cedar${index}`,
      ref: { name: annotations['name'] || `cedar policy ${index + 1}`, file: source.file, line: place.line },
      effect: json.effect,
      observe: annotations['mode'] === 'observe',
      agents: annotations['agents'] === 'true',
      cedar: piece.text,
      reads: readsOf(json),
      connections,
      actions: actionsOf(json),
      subjects: undefined,
    })
  }
  return { clauses, problems, checks }
}

type Piece = { readonly text: string; readonly offset: number }

/** Cuts at semicolons outside strings and comments; leading blanks and comments belong to no policy. */
export function splitPolicies(text: string): Piece[] {
  const pieces: Piece[] = []
  const token = /\/\/[^\n]*|"(?:\\[\s\S]|[^"\\])*"?|;|\s+|[^\s";/]+|\//g
  let start: number | undefined
  for (const match of text.matchAll(token)) {
    const [found] = match
    const blank = found.startsWith('//') || found.trim() === ''
    if (start === undefined && !blank) start = match.index
    if (found === ';' && start !== undefined) {
      pieces.push({ text: text.slice(start, match.index + 1), offset: start })
      start = undefined
    }
  }
  if (start !== undefined) pieces.push({ text: text.slice(start), offset: start })
  return pieces
}

const ANNOTATIONS: Readonly<Record<string, readonly string[] | 'any'>> = {
  id: 'any',
  name: 'any',
  mode: ['enforce', 'observe'],
  agents: ['true', 'false'],
}

type Place = Pick<Problem, 'file' | 'line' | 'column' | 'path'>

function annotationProblems(annotations: Readonly<Record<string, string>>, at: Place): Problem[] {
  return Object.entries(annotations).flatMap(([name, value]) => {
    const allowed = Object.hasOwn(ANNOTATIONS, name) ? ANNOTATIONS[name] : undefined
    if (allowed === 'any' || allowed?.includes(value)) return []
    const message =
      allowed === undefined
        ? `expected @name, @mode or @agents, got @${name}`
        : `expected @${name} to be ${allowed.join(' or ')}, got "${value}"`
    return [{ ...at, message, fix: allowed === undefined ? 'remove it' : `write @${name}("${allowed[0]}")` }]
  })
}

function actionsOf(json: CedarJson): ReadonlySet<Action> {
  const { action } = json
  if (action.op === 'All') return new Set(ACTIONS)
  const entities = 'entities' in action ? action.entities : 'entity' in action ? [action.entity] : []
  const ids = new Set(entities.map((each) => ('__entity' in each ? each.__entity.id : each.id)))
  return new Set(ACTIONS.filter((each) => ids.has(each)))
}

/** Only an exact `resource == Connection::"..."` narrows; anything else may be about every connection. */
function connectionsOf(json: CedarJson): ReadonlySet<string> | undefined {
  const { resource } = json
  if (resource.op !== '==' || !('entity' in resource)) return undefined
  const uid = '__entity' in resource.entity ? resource.entity.__entity : resource.entity
  return uid.type === 'Connection' ? new Set([uid.id]) : undefined
}
