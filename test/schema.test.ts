import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { SCHEMA_FILE, schemaText } from '../tools/schema.ts'

it('schema/sluice.schema.json is what the schemas say; node tools/schema.ts brings it up to date', () => {
  expect(JSON.parse(readFileSync(SCHEMA_FILE, 'utf8'))).toEqual(JSON.parse(schemaText()))
})
