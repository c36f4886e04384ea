import type { LabelAssignment } from '../../core/index.ts'
import { GatewayError } from '../../core/index.ts'
import type { Catalogue } from '../../sql/index.ts'

/** Until the catalogue is read here, connections with labels are refused. Replaced by the catalogue's owner. */
export const catalogueQueries: readonly string[] = []
export const fingerprintQuery = 'SELECT 1'

export function buildCatalogue(
  _results: readonly (readonly (readonly (string | null)[])[])[],
  _assignments: readonly LabelAssignment[],
  _epoch: number,
): Catalogue {
  throw new GatewayError('unsupported', 'Labels are not supported yet.')
}

export function labelledReach(_catalogue: Catalogue): ReadonlySet<number> {
  return new Set()
}
