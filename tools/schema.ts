/**
 * Writes `schema/sluice.schema.json` from the schemas that read a configuration. A test holds the file against them.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { jsonSchema } from '../src/config/index.ts'
import { PROTOCOLS } from '../src/protocols/index.ts'
import { ROOT } from './dist.ts'
import { runSteps } from './steps.ts'

export const SCHEMA_FILE = join(ROOT, 'schema', 'sluice.schema.json')

/** The file's text as it should be, but for spacing. */
export function schemaText(): string {
  const protocols = Object.fromEntries(PROTOCOLS.map((protocol) => [protocol.name, protocol]))
  return JSON.stringify(jsonSchema(protocols), null, 2)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(SCHEMA_FILE, schemaText())
  const [formatted] = await runSteps(
    [{ name: 'format', command: ['biome', 'format', '--write', SCHEMA_FILE] }],
    1,
  )
  process.exitCode = formatted?.ok === true ? 0 : 1
}
