import { describe, expect, it } from 'vitest'
import { isEndpoint, placeIn, recordingStore, bucketOf } from './schema-bucket.ts'

const stored = (written: object) => bucketOf(recordingStore.parse(written))

describe('the object store of recordings', () => {
  it('is that of AWS, or another one, whose buckets stand in the path', () => {
    expect(stored({ url: 's3://my-recordings' })).toEqual({
      settings: {
        bucket: 'my-recordings',
        prefix: '',
        endpoint: undefined,
        region: undefined,
        pathStyle: false,
        spoolBytesMax: 10 * 1024 ** 3,
      },
      secrets: {},
    })
    const other = {
      url: 's3://r.example.com/a/b.c/',
      endpoint: 'https://minio.example.com:9000',
      spool: '1GiB',
    }
    const keys = { accessKey: '${env:KEY}', secretKey: '${store:s3}' }
    expect(stored({ ...other, ...keys })).toEqual({
      settings: {
        bucket: 'r.example.com',
        prefix: 'a/b.c/',
        endpoint: 'https://minio.example.com:9000',
        region: 'us-east-1',
        pathStyle: true,
        spoolBytesMax: 1024 ** 3,
      },
      secrets: { accessKey: { kind: 'env', name: 'KEY' }, secretKey: { kind: 'store', name: 's3' } },
    })
    expect(stored({ ...other, region: 'auto', pathStyle: false }).settings).toMatchObject({
      region: 'auto',
      pathStyle: false,
    })
  })

  it('has a bucket by the rules of S3, and a prefix of plain parts', () => {
    const good = ['s3://abc', 's3://abc/', 's3://a-b.c1/x', 's3://abc/x/y_z/', `s3://${'a'.repeat(63)}`]
    expect(good.filter((url) => placeIn(url) === undefined)).toEqual([])
    const bad = [
      'abc',
      's3:/abc',
      's3://',
      's3://ab',
      's3://ABC',
      's3://a..b',
      's3://-abc',
      's3://10.0.0.1',
      `s3://${'a'.repeat(64)}`,
      's3://abc//',
      's3://abc//x',
      's3://abc/x//y',
      's3://abc/../x',
      's3://abc/.',
      's3://abc/x y',
      's3://abc/x?y',
      's3://abc/x#y',
      's3://abc/x%2fy',
      's3://key:secret@abc',
      `s3://abc/${'x'.repeat(513)}`,
      'S3://abc',
      ' s3://abc',
      's3://abc\n',
    ]
    expect(bad.filter((url) => placeIn(url) !== undefined)).toEqual([])
  })

  it('is asked over TLS, but on this machine', () => {
    const good = [
      'https://s3.example.com',
      'https://s3.example.com/',
      'https://10.0.0.1:9000',
      'http://127.0.0.1:1',
      'http://[::1]:1',
    ]
    expect(good.filter((url) => !isEndpoint(url))).toEqual([])
    const bad = [
      'http://s3.example.com',
      'http://10.0.0.1',
      'https://u:p@s3.example.com',
      'https://s3.example.com/x',
      'https://s3.example.com?x',
      'ftp://127.0.0.1',
      's3.example.com',
    ]
    expect(bad.filter(isEndpoint)).toEqual([])
  })
})
