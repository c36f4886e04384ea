import { expect, it } from 'vitest'
import { createScramVerifier, mockScramVerifier } from './scram-verifier.ts'

it('computes the keys PostgreSQL stores for a password', () => {
  // SELECT rolpassword FROM pg_authid after ALTER ROLE ... PASSWORD 'pencil' has this form; the salt is RFC 7677's.
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  const verifier = createScramVerifier('pencil', 4096, salt)
  expect(Buffer.from(verifier.storedKey).toString('base64')).toBe(
    'WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=',
  )
  expect(Buffer.from(verifier.serverKey).toString('base64')).toBe(
    'wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  )
})

it('answers for an unknown name always the same, and differently for another name or key', () => {
  const key = new Uint8Array(32).fill(7)
  const first = mockScramVerifier('c_unknown', key)
  expect(mockScramVerifier('c_unknown', key)).toEqual(first)
  expect(mockScramVerifier('c_other', key).salt).not.toEqual(first.salt)
  expect(mockScramVerifier('c_unknown', new Uint8Array(32)).salt).not.toEqual(first.salt)
  expect(first.salt).toHaveLength(16)
  expect(first.iterations).toBe(4096)
})
