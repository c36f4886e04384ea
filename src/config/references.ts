import type { Identity, IdentityKind, LabelName, Problem, RuleWho } from '../core/index.ts'
import { brand, IDENTITY_KINDS, identityKey } from '../core/index.ts'
import { nearest } from './nearest.ts'
import type { WhoBlock } from './schema-who.ts'
import type { Path, Tree } from './tree.ts'
import { shorten } from './values.ts'

/** What one part of the file may name in another, and the problems met while looking names up. */
export class References {
  readonly problems: Problem[] = []
  /** What may be meant, and may be a slip of the pen: told, and no reason to refuse. */
  readonly doubts: Problem[] = []
  readonly #tree: Tree
  readonly #connections: ReadonlySet<string>
  readonly #labels: ReadonlySet<string>
  readonly #routes: ReadonlySet<string>
  readonly #access: ReadonlySet<string>
  readonly #local: ReadonlyMap<string, Identity>
  readonly #issuers: readonly string[]

  constructor(
    tree: Tree,
    names: {
      readonly connections: Iterable<string>
      readonly labels: Iterable<string>
      /** Of approvals. */
      readonly routes: Iterable<string>
      /** What can be granted for a time. */
      readonly access: Iterable<string>
      readonly local: readonly Identity[]
      readonly issuers: readonly string[]
    },
  ) {
    this.#tree = tree
    this.#connections = new Set(names.connections)
    this.#labels = new Set(names.labels)
    this.#routes = new Set(names.routes)
    this.#access = new Set(names.access)
    this.#local = new Map(names.local.map((identity) => [identityKey(identity), identity]))
    this.#issuers = names.issuers
  }

  connection(name: string, path: Path): void {
    if (!this.#connections.has(name)) this.#unknown('a connection', name, this.#connections, path)
  }

  route(name: string, path: Path): void {
    if (!this.#routes.has(name)) this.#unknown('a route of approvals', name, this.#routes, path)
  }

  label(name: string, path: Path): LabelName {
    if (!this.#labels.has(name)) this.#unknown('a label', name, this.#labels, path)
    return brand<LabelName>(name)
  }

  /** One label, or with `.*` all below a name. */
  labelPattern(name: string, path: Path): LabelName[] {
    if (!name.endsWith('.*')) return [this.label(name, path)]
    const found = [...this.#labels].filter((label) => label.startsWith(name.slice(0, -1)))
    if (found.length === 0) this.#unknown('labels', name, this.#labels, path)
    return found.map((label) => brand<LabelName>(label))
  }

  /**
   * A group of a local identity. Those that issuers will bring cannot be known, so that with an issuer every name is
   * accepted.
   */
  group(name: string, path: Path): void {
    if (this.#issuers.length > 0) return
    const groups = new Set([...this.#local.values()].flatMap((identity) => identity.groups))
    if (!groups.has(name)) this.#unknown('a group of a local identity', name, groups, path)
  }

  /** Whom a part of the file is about. */
  who(who: WhoBlock, path: Path): RuleWho {
    if (who === 'everyone') return who
    const { groups, kinds, access } = who
    for (const [index, group] of (groups ?? []).entries()) this.group(group, [...path, 'groups', index])
    const identities = who.identities?.flatMap(
      (text, index) => this.identity(text, [...path, 'identities', index])?.key ?? [],
    )
    for (const [index, name] of (access ?? []).entries()) {
      if (!this.#access.has(name)) this.#unknown('access', name, this.#access, [...path, 'access', index])
    }
    return {
      ...(groups === undefined ? {} : { groups }),
      ...(identities === undefined ? {} : { identities }),
      ...(kinds === undefined ? {} : { kinds }),
      ...(access === undefined ? {} : { access }),
    }
  }

  /** `agent:support-agent`, or with its issuer in parentheses as recordings show it. */
  identity(text: string, path: Path): { key: string; kind: IdentityKind } | undefined {
    const local = this.#local.get(text)
    if (local !== undefined) return { key: text, kind: local.kind }
    const [, kind = '', name = '', issuer] = /^([a-z]+):(.+?)(?: \(([^()\s]+)\))?$/.exec(text) ?? []
    const known = IDENTITY_KINDS.find((each) => each === kind)
    if (known === undefined || name === '') {
      const near = this.#localNear(name === '' ? text : name)
      this.#add(path, `expected an identity such as person:ada, got "${shorten(text)}"`, this.#suggest(near))
      return undefined
    }
    if (issuer === undefined) {
      const near = this.#localNear(name)
      const [first] = this.#issuers
      const otherwise =
        first === undefined ? 'add it to identities.local' : `write "${shorten(text)} (${first})"`
      const message = `expected an identity of identities.local, got "${shorten(text)}"`
      this.#add(path, message, near === undefined ? otherwise : `write "${near}"`)
      return undefined
    }
    if (this.#issuers.includes(issuer)) return { key: text, kind: known }
    const near = nearest(issuer, this.#issuers)
    const message = 'expected an issuer of identities.issuers in the parentheses'
    this.#add(path, message, near === undefined ? 'add the issuer, or correct its URL' : `write (${near})`)
    return undefined
  }

  /** The identity itself. Of an issuer's no groups are known. */
  named(text: string, path: Path): Identity | undefined {
    const found = this.identity(text, path)
    if (found === undefined) return undefined
    const [, name = '', issuer = ''] = /^[a-z]+:(.+?) \(([^()\s]+)\)$/.exec(text) ?? []
    return this.#local.get(found.key) ?? { kind: found.kind, name, issuer, groups: [] }
  }

  /** One of these names. */
  name(what: string, name: string, known: Iterable<string>, path: Path): void {
    const all = [...known]
    if (!all.includes(name)) this.#unknown(what, name, all, path)
  }

  /** The name alone of a local identity. */
  localName(name: string, path: Path): Identity | undefined {
    const all = [...this.#local.values()]
    const found = all.find((identity) => identity.name === name)
    const names = all.map((identity) => identity.name)
    if (found === undefined) this.#unknown('a local identity', name, names, path)
    return found
  }

  /** A connection that a hold names: one that is gone may have left recordings behind. */
  heldConnection(name: string, path: Path): void {
    if (this.#connections.has(name)) return
    const near = nearest(name, this.#connections)
    this.#doubt(
      path,
      `no connection is called "${shorten(name)}": this holds what one of that name recorded`,
      near,
    )
  }

  /** An identity that a hold names: local ones are known, those of issuers are not. */
  heldIdentity(text: string, path: Path): void {
    if (this.#local.has(text)) return
    const [, kind = '', name = '', issuer] = /^([a-z]+):(.+?)(?: \(([^()\s]+)\))?$/.exec(text) ?? []
    if (IDENTITY_KINDS.some((each) => each === kind) && name !== '' && issuer !== undefined) {
      if (this.#issuers.includes(issuer)) return
      const near = nearest(issuer, this.#issuers)
      this.#doubt(path, `no issuer "${shorten(issuer)}" is configured`, near && `${kind}:${name} (${near})`)
      return
    }
    const near = this.#localNear(name === '' ? text : name)
    this.#doubt(
      path,
      `no local identity is "${shorten(text)}": this holds what one of that name recorded`,
      near,
    )
  }

  #doubt(path: Path, message: string, near: string | undefined): void {
    const fix = near === undefined ? 'look at the name again' : `did you mean "${near}"?`
    this.doubts.push(this.#tree.problem(this.#tree.valueAt(path), path, message, fix))
  }

  /** A problem at the value of a path. */
  refuse(path: Path, message: string, fix: string): void {
    this.#add(path, message, fix)
  }

  /** Compares names without their kind: all the kinds are near each other. */
  #localNear(name: string): string | undefined {
    const byName = new Map([...this.#local].map(([key, identity]) => [identity.name, key]))
    return byName.get(byName.has(name) ? name : (nearest(name, byName.keys()) ?? ''))
  }

  #suggest(near: string | undefined): string {
    return near === undefined ? 'write a kind, a colon and a name' : `write "${near}"`
  }

  #unknown(what: string, name: string, known: Iterable<string>, path: Path): void {
    const near = nearest(name, known)
    const first = [...known].slice(0, 5).join(', ')
    const otherwise = first === '' ? 'configure it first' : `use one of ${first}`
    const message = `expected ${what} of this file, got "${shorten(name)}"`
    this.#add(path, message, near === undefined ? otherwise : `write "${near}"`)
  }

  #add(path: Path, message: string, fix: string): void {
    this.problems.push(this.#tree.problem(this.#tree.valueAt(path), path, message, fix))
  }
}
