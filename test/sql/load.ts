import type { Client } from 'pg'
import type { LabelAssignment } from '../../src/core/index.ts'
import { brand } from '../../src/core/index.ts'
import {
  buildCatalogue,
  catalogueQueries,
  fingerprintQuery,
} from '../../src/protocols/postgres/catalogue/catalogue.ts'
import type { Catalogue } from '../../src/sql/index.ts'

export const LABELS: readonly LabelAssignment[] = [
  { pattern: 'public.customers.email', label: brand('pii.email') },
  { pattern: 'public.customers.phone', label: brand('pii.phone') },
  { pattern: '*.*.contact_email', label: brand('pii.email') },
  { pattern: 'public.people.ssn', label: brand('secret') },
  { pattern: 'public.audited.email', label: brand('pii.email') },
]

/** Everything as the text the server sent. */
const raw = { getTypeParser: () => (value: string) => value }

export async function loadCatalogue(
  client: Client,
  labels: readonly LabelAssignment[] = LABELS,
  epoch = 1,
): Promise<Catalogue> {
  const results: (string | null)[][][] = []
  for (const text of catalogueQueries) {
    const { rows } = await client.query<(string | null)[]>({ text, rowMode: 'array', types: raw })
    results.push(rows)
  }
  return buildCatalogue(results, labels, epoch)
}

export async function fingerprint(client: Client): Promise<string> {
  const { rows } = await client.query({ text: fingerprintQuery, rowMode: 'array', types: raw })
  return JSON.stringify(rows)
}
