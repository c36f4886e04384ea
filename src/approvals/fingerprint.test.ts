import fc from 'fast-check'
import { expect, test } from 'vitest'
import { brand, type ConnectionName, type Identity } from '../core/index.ts'
import { type FingerprintParts, fingerprintOf } from './fingerprint.ts'

const agent: Identity = { kind: 'agent', name: 'support-agent', issuer: 'local', groups: ['agents'] }
const ada: Identity = { kind: 'person', name: 'ada@example.com', issuer: 'local', groups: [] }

const base: FingerprintParts = {
  chain: [agent, ada],
  connection: brand<ConnectionName>('crm'),
  context: ['crm', 'public'],
  text: 'DELETE FROM t WHERE id = $1',
  parameters: [Buffer.from('1'), null],
  policyVersion: 'v1',
}

test('a fingerprint is frozen: open requests of older versions must be joined', () => {
  expect(fingerprintOf(base)).toBe('c60606e4d02e799a3ee557c7cecd6b850120d602b5ce7e0950bf0f0ba6c6c024')
})

test('the text may be given as the bytes it came in', () => {
  expect(fingerprintOf({ ...base, text: Buffer.from(base.text) })).toBe(fingerprintOf(base))
  const decoded = (bytes: number[]): string => Buffer.from(bytes).toString('utf8')
  expect(decoded([0xe9])).toBe(decoded([0xfc]))
  expect(fingerprintOf({ ...base, text: Uint8Array.of(0xe9) })).not.toBe(
    fingerprintOf({ ...base, text: Uint8Array.of(0xfc) }),
  )
})

test('the same command has the same fingerprint, whatever groups say today', () => {
  const regrouped: Identity = { ...agent, groups: [] }
  expect(fingerprintOf({ ...base, chain: [regrouped, ada] })).toBe(fingerprintOf(base))
})

const changes: Record<string, Partial<FingerprintParts>> = {
  'another agent': { chain: [{ ...agent, name: 'other' }, ada] },
  'another issuer': { chain: [{ ...agent, issuer: 'https://id.example.com' }, ada] },
  'another kind': { chain: [{ ...agent, kind: 'service' }, ada] },
  'nobody it acts for': { chain: [agent] },
  'the chain turned round': { chain: [ada, agent] },
  'another connection': { connection: brand<ConnectionName>('billing') },
  'another database': { context: ['crm2', 'public'] },
  'another search path': { context: ['crm', 'private'] },
  'another statement': { text: 'DELETE FROM t WHERE id = $2' },
  'another space': { text: 'DELETE FROM t WHERE id =  $1' },
  'another value': { parameters: [Buffer.from('2'), null] },
  'a value for NULL': { parameters: [Buffer.from('1'), Buffer.from('')] },
  'values in another order': { parameters: [null, Buffer.from('1')] },
  'a value less': { parameters: [Buffer.from('1')] },
  'another policy': { policyVersion: 'v2' },
}

for (const [name, change] of Object.entries(changes)) {
  test(`${name}: another fingerprint`, () => {
    expect(fingerprintOf({ ...base, ...change })).not.toBe(fingerprintOf(base))
  })
}

test('bytes moved from one part to its neighbour make another fingerprint', () => {
  const parts = fc.record({
    text: fc.string({ maxLength: 5 }),
    context: fc.array(fc.string({ maxLength: 3 }), { maxLength: 3 }),
    parameters: fc.array(fc.option(fc.uint8Array({ maxLength: 3 })), { maxLength: 3 }),
    policyVersion: fc.string({ maxLength: 3 }),
  })
  const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
  fc.assert(
    fc.property(parts, parts, (a, b) => {
      const [one, other] = [fingerprintOf({ ...base, ...a }), fingerprintOf({ ...base, ...b })]
      expect(one === other).toBe(same(a, b))
    }),
    {
      examples: [
        [
          { text: 'a', context: ['b'], parameters: [], policyVersion: '' },
          { text: 'ab', context: [], parameters: [], policyVersion: '' },
        ],
      ],
    },
  )
})
