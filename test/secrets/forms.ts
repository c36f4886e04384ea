/** In which forms a secret could stand somewhere, and where. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { base64Forms } from '../abuse/world.ts'

/** A secret by the name that a failure may show. */
export type Named = { readonly name: string; readonly value: string | Buffer }

/** Every form that one function of a usual library makes of it. */
export function formsOf(value: string | Buffer): Buffer[] {
  const bytes = Buffer.from(value)
  const latin = bytes.toString('latin1')
  const forms = new Set<string>([
    latin,
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...base64Forms(latin),
    ...base64Forms(latin).map((form) => form.replaceAll('+', '-').replaceAll('/', '_')),
    bytes.toString('utf16le').length > 0 ? Buffer.from(latin, 'utf16le').toString('latin1') : latin,
    [...latin].toReversed().join(''),
  ])
  if (typeof value === 'string') {
    const inUtf8 = (text: string): string => Buffer.from(text).toString('latin1')
    forms.add(encodeURIComponent(value))
    forms.add(new URLSearchParams({ x: value }).toString().slice(2))
    forms.add(inUtf8(JSON.stringify(value).slice(1, -1)))
    forms.add(inUtf8(JSON.stringify(JSON.stringify(value).slice(1, -1)).slice(1, -1)))
    forms.add(inUtf8(value.replaceAll("'", "''")))
    forms.add(inUtf8(value.replaceAll(/["'\\ ]/g, '\\$&')))
  }
  return [...forms].map((form) => Buffer.from(form, 'latin1'))
}

/** The names of those that occur in the bytes in any form. */
export function secretsIn(bytes: Buffer, secrets: readonly Named[]): string[] {
  return secrets
    .filter(({ value }) => formsOf(value).some((form) => bytes.includes(form)))
    .map(({ name }) => name)
}

/** All files below a directory, with what they hold. Files that go while they are read are not there any more. */
export async function filesOf(directory: string): Promise<{ path: string; bytes: Buffer }[]> {
  const found: { path: string; bytes: Buffer }[] = []
  for (const each of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!each.isFile()) continue
    const path = join(each.parentPath, each.name)
    const bytes = await readFile(path).catch(() => undefined)
    if (bytes !== undefined) found.push({ path, bytes })
  }
  return found
}

/** Command lines of every process, and the environments of those whose command line matches. */
export async function processes(environmentsOf: RegExp): Promise<{ path: string; bytes: Buffer }[]> {
  const found: { path: string; bytes: Buffer }[] = []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`).catch(() => undefined)
    if (commandLine === undefined) continue
    found.push({ path: `/proc/${pid}/cmdline`, bytes: commandLine })
    if (!environmentsOf.test(commandLine.toString('latin1').replaceAll('\0', ' '))) continue
    const environment = await readFile(`/proc/${pid}/environ`).catch(() => undefined)
    if (environment !== undefined) found.push({ path: `/proc/${pid}/environ`, bytes: environment })
  }
  return found
}
