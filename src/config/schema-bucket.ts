import { z } from 'zod'
import { isThisMachine } from '../core/index.ts'
import type { BucketBlock } from './bucket-block.ts'
import { line, secretReference, size } from './values.ts'

/** The object store of recordings, as written, and what becomes of it. */

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
const BUCKET = /^(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]$/
/** Characters that stand for themselves in every store, in parts that are no `.` or `..`. */
const PREFIX_PART = /^(?!\.{1,2}$)[A-Za-z0-9!_.'()-]+$/
const PREFIX_MAX = 512

export const recordingStore = z
  .strictObject({
    url: line('the place of recordings', 1024)
      .refine((text) => placeIn(text) !== undefined, {
        error:
          'expected a bucket and perhaps a prefix; write it like s3://my-recordings/gateway-1, in letters, digits and - _ . ( ) only',
      })
      .describe(
        's3://BUCKET/PREFIX: recordings lie there as below the data directory. A prefix for each gateway.',
      ),
    endpoint: line('a URL', 2048)
      .refine(
        isEndpoint,
        'expected the URL of a store that begins with https://, without a path; plain http is accepted for this machine only',
      )
      .optional()
      .describe('Of a store other than AWS\u2019s.'),
    region: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected the name of a region; write it like eu-central-1')
      .optional()
      .describe('Default us-east-1 with an endpoint; else what the environment says.'),
    pathStyle: z
      .boolean()
      .optional()
      .describe(
        'The bucket stands in the path and not in the name of the host. Default true with an endpoint.',
      ),
    accessKey: secretReference()
      .optional()
      .describe(
        'With secretKey: who the gateway is. Without them the environment, the container or the instance says it.',
      ),
    secretKey: secretReference().optional(),
    spool: size({ min: 64 * 1024 ** 2, max: 1024 ** 5 })
      .default(10 * 1024 ** 3)
      .describe(
        'Session files that are in the store stay on this machine up to this size together. Default 10GiB.',
      ),
  })
  .superRefine(({ accessKey, secretKey }, context) => {
    if ((accessKey === undefined) === (secretKey === undefined)) return
    const path = [accessKey === undefined ? 'secretKey' : 'accessKey']
    context.addIssue({
      code: 'custom',
      message: 'expected "accessKey" and "secretKey" together; add the other',
      path,
    })
  })

export function bucketOf({
  url,
  endpoint,
  region,
  pathStyle,
  spool,
  ...keys
}: z.output<typeof recordingStore>): BucketBlock {
  const { bucket = '', prefix = '' } = placeIn(url) ?? {}
  const { accessKey, secretKey } = keys
  return {
    settings: {
      bucket,
      prefix,
      endpoint,
      region: region ?? (endpoint === undefined ? undefined : 'us-east-1'),
      pathStyle: pathStyle ?? endpoint !== undefined,
      spoolBytesMax: spool,
    },
    secrets: {
      ...(accessKey === undefined ? {} : { accessKey }),
      ...(secretKey === undefined ? {} : { secretKey }),
    },
  }
}

/** The bucket and the prefix of `s3://BUCKET/PREFIX`; undefined for what is none. A prefix ends in `/`, or is empty. */
export function placeIn(url: string): { readonly bucket: string; readonly prefix: string } | undefined {
  const [, bucket = '', path = ''] = /^s3:\/\/([^/]*)(?:\/(.*?))?\/?$/.exec(url) ?? []
  if (!BUCKET.test(bucket) || path.length > PREFIX_MAX) return undefined
  if (path === '') return url.replace(/\/$/, '') === `s3://${bucket}` ? { bucket, prefix: '' } : undefined
  return path.split('/').every((part) => PREFIX_PART.test(part)) ? { bucket, prefix: `${path}/` } : undefined
}

/** Whether a text is where a store can be asked without its answers being anybody's. */
export function isEndpoint(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '' || url.search !== '')
    return false
  if (url.pathname !== '/' && url.pathname !== '') return false
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return url.protocol === 'https:' || (url.protocol === 'http:' && isThisMachine(host))
}
