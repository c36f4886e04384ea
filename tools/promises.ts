/**
 * Which tests prove which promise. A test says so in its title, or in the title of a group around it:
 * `it('sends no byte of a held statement upstream (P-05)', ...)`. `node tools/promises.ts` writes what it finds into
 * the lists of docs/promises.md; test/promises.test.ts checks that they are up to date and that no promise is bare.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Visitor, parseSync } from 'oxc-parser'
import { ROOT } from './dist.ts'

export type Proof = { readonly promise: string; readonly file: string; readonly title: string }

export const PAGE = join(ROOT, 'docs', 'promises.md')

const PROMISE = /\bP-(?:0[1-9]|10)\b/g
/** `it(...)`, `test(...)`, `describe(...)`, and their `.each(...)(...)` forms. */
const TITLED = /^(it|test|describe)(\.each|\.for|\.sequential|\.concurrent)*$/

/** The titles in one test file that name a promise. */
export function proofsIn(file: string, text: string): Proof[] {
  const { program, errors } = parseSync(file, text)
  const error = errors[0]
  if (error !== undefined) throw new Error(`${file}: ${error.message}`)
  const proofs: Proof[] = []
  new Visitor({
    CallExpression(node) {
      const callee = node.callee.type === 'CallExpression' ? node.callee.callee : node.callee
      const [first] = node.arguments
      if (first === undefined || !TITLED.test(text.slice(callee.start, callee.end))) return
      const isText =
        (first.type === 'Literal' && typeof first.value === 'string') || first.type === 'TemplateLiteral'
      if (!isText) return
      const title = text.slice(first.start + 1, first.end - 1).replaceAll(/\\(['"`])/g, '$1')
      for (const promise of new Set(title.match(PROMISE))) proofs.push({ promise, file, title })
    },
  }).visit(program)
  return proofs
}

/** Every proof in the repository, by file and then in the order of the file. */
export function allProofs(): Proof[] {
  const files = ['src', 'test', 'bench'].flatMap((folder) =>
    readdirSync(ROOT, { withFileTypes: true }).some((entry) => entry.name === folder)
      ? readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
          // The conformance suite is called by each protocol's test and holds the titles.
          .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
          .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).split(sep).join('/'))
      : [],
  )
  return files
    .toSorted()
    .filter((file) => file !== 'test/promises.test.ts')
    .flatMap((file) => proofsIn(file, readFileSync(join(ROOT, file), 'utf8')))
}

/** The page with the list under each `## P-xx` heading replaced: one line per proof. */
export function withProofs(page: string, proofs: readonly Proof[]): string {
  const listed = page.replaceAll(
    /^## (P-\d\d)[^\n]*\n[\s\S]*?(?=^## |(?![\s\S]))/gm,
    (section, promise: string) => {
      const kept = section
        .split('\n')
        .filter((line) => !line.startsWith('- `'))
        .join('\n')
        .trimEnd()
      const lines = proofs
        .filter((proof) => proof.promise === promise)
        .map((proof) => `- \`${proof.file}\`: ${proof.title}`)
      return `${kept}\n${lines.length === 0 ? '' : `\n${lines.join('\n')}\n`}\n`
    },
  )
  return `${listed.trimEnd()}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const proofs = allProofs()
  writeFileSync(PAGE, withProofs(readFileSync(PAGE, 'utf8'), proofs))
  process.stdout.write(`${proofs.length} proofs written to ${relative(ROOT, PAGE)}\n`)
}
