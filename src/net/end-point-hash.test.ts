import { expect, it } from 'vitest'
import { X509Certificate } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { endPointHash } from './end-point-hash.ts'

const VECTORS = join(import.meta.dirname, 'vectors', 'certificates')

/** Written down by `openssl x509 -outform der | openssl dgst`, with the digest RFC 5929 asks for. */
const EXPECTED: Readonly<Record<string, string | undefined>> = {
  'rsa-md5': 'ec92a6a6e4813ce828a6da1eefe4c9dc6b216b1a5d4e82473ec84ff2909ff036',
  'rsa-sha1': '75d09adfd8d76b4897a0d724a7b73d49b0c37430761da91bb02639e10765c6a5',
  'rsa-sha224': '831725535615c2a93b04c934aab0460a99be7368a2e3d5ee3ea89c8f',
  'rsa-sha256': 'cbd0e5a4ea01cb48ecee5c62e3a7e377da489803fbc41b877008383870ac8272',
  'rsa-sha384':
    '55199a6b94b752019e6599acbd7d3c1a79fca56c61f8c892ef477703fed97dbf0086e5ad4c794d8eaf1360d282ca8ecb',
  'rsa-sha512':
    '62dcea4a2dd487051589f1d96908eb848313898db7b562d379b46e52d245c38f2874635012d9256dd09c246d58d677d33040e0c7d99cfc7d189ae88803713dae',
  'rsa-pss-sha1': '39674de00b14749d029e2d5181ec6c809f380fe7dc5d50d473956a8caa1fe8a8',
  'rsa-pss-sha256': 'bad067b7e28b291bbe5e8c048486a91d22a8ff8982a110639ce1b4e35e41405e',
  'rsa-pss-sha384':
    '63c5b9533489839477f9620b775670e1ac7027fc6a505ea0465306dc44de89a18b31b7de9dbdf6fe474858e65d7a5c8f',
  'ecdsa-sha1': '25f17b4442e6039a47ae51380792309ca2ad16149090882bfaafe80a26cd9c0d',
  'ecdsa-sha256': 'b1873e94341818e774cbce1549a98ea16d1579a8a94f76d629718ffb71063b2e',
  'ecdsa-sha384':
    'fee8c6882e7cbad47dd08b8b80aa7c8291240333fa901343d221fa7704298bf1d50474968be331923ddb85ffdd42e5be',
  'ecdsa-sha512':
    '7b3141a33605cd7a6726b6514f0a633fbe64b345bc8a5989eca3183f6ce8128e3a0890975fdf2422755bd1f3162633adf0ee6445d3adb74bc8c11e8c4c9d2de1',
  // Its signature has no digest of its own, so the RFC leaves the binding undefined.
  ed25519: undefined,
}

function der(name: string): Buffer {
  return new X509Certificate(readFileSync(join(VECTORS, `${name}.pem`))).raw
}

it('has an expectation for every vector', () => {
  const files = readdirSync(VECTORS).map((file) => file.replace(/\.pem$/, ''))
  expect(files.sort()).toEqual(Object.keys(EXPECTED).sort())
})

it.each(Object.keys(EXPECTED))('hashes a certificate signed with %s as RFC 5929 says', (name) => {
  const hash = endPointHash(der(name))
  expect(hash === undefined ? undefined : Buffer.from(hash).toString('hex')).toBe(EXPECTED[name])
})

it('gives nothing for bytes that are not a certificate, and never throws', () => {
  expect(endPointHash(new Uint8Array())).toBeUndefined()
  expect(endPointHash(Buffer.from('30820122300d0609', 'hex'))).toBeUndefined()
  for (const name of Object.keys(EXPECTED)) {
    const whole = der(name)
    for (let length = 0; length < whole.length; length++) {
      expect(endPointHash(whole.subarray(0, length))).toBeUndefined()
    }
    for (let at = 0; at < whole.length; at += 3) {
      const changed = Buffer.from(whole)
      changed[at] = (changed[at] ?? 0) ^ 0xff
      expect(() => endPointHash(changed)).not.toThrow()
    }
  }
})
