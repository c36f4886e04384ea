import type { AuditSource } from '../../audit/index.ts'
import type { Bucket } from '../../recording/index.ts'

/**
 * A recording in a bucket. What is fetched is read as it comes. There is never a journal, so that nobody can tell where
 * frames lie that are not sealed yet.
 */
export function bucketAuditSource(bucket: Bucket): AuditSource {
  return {
    read: async (path) => (await bucket.get(path))?.body,
    async list(path) {
      if (path === 'journal') return undefined
      const names: string[] = []
      for await (const { name } of bucket.list(`${path}/`)) names.push(name)
      return names.toSorted()
    },
  }
}
