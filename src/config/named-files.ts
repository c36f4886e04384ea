import type { FileFault, Problem, ReadFile, SettingsRead } from '../core/index.ts'
import { nearest } from './nearest.ts'
import type { Path, Tree } from './tree.ts'
import { pathText } from './tree.ts'

type Reader = { readonly readSettings?: (settings: unknown, read: ReadFile) => SettingsRead }

type Settings =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** The files beside a configuration that its settings name: each is read once, and what is wrong with one has its place there. */
export class NamedFiles {
  /** By path as it is written. */
  readonly texts = new Map<string, string>()
  readonly #tree: Tree
  readonly #read: ReadFile | undefined

  constructor(tree: Tree, read: ReadFile | undefined) {
    this.#tree = tree
    this.#read = read
  }

  /** Settings of a connection with what its files say. `path`: of its block. */
  settings({ readSettings }: Reader, value: unknown, path: Path): Settings {
    if (readSettings === undefined) return { ok: true, value }
    const { settings, faults, labels } = readSettings(value, (file) => this.#text(file))
    const known = this.#labels()
    const problems = [
      ...faults.map((fault) => this.#problem(fault, path)),
      ...labels.flatMap(({ label, at }): Problem[] => {
        if (known.includes(label)) return []
        const near = nearest(label, known)
        const fix = near === undefined ? 'define it under labels' : `write "${near}"`
        return [{ ...at, path: pathText(path), message: 'expected a label of this configuration', fix }]
      }),
    ]
    return problems.length === 0 ? { ok: true, value: settings } : { ok: false, problems }
  }

  #problem(fault: FileFault, path: Path): Problem {
    const { message, fix } = fault
    if (fault.kind === 'in file') return { ...fault.at, path: pathText(path), message, fix }
    const at = [...path, ...fault.path]
    return this.#tree.problem(this.#tree.valueAt(at), at, message, fix)
  }

  #text(file: string): string | undefined {
    const known = this.texts.get(file)
    if (known !== undefined) return known
    const text = this.#read?.(file)
    if (text !== undefined) this.texts.set(file, text)
    return text
  }

  #labels(): readonly string[] {
    const labels = this.#tree.get(['labels'])
    return typeof labels === 'object' && labels !== null ? Object.keys(labels) : []
  }
}
