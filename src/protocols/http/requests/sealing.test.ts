import { expect, test } from 'vitest'
import { brand, type LabelName } from '../../../core/index.ts'
import { sealedRequest } from './sealing.ts'

const labels = ['pii.phone', 'pii.email'].map((each) => brand<LabelName>(each))
const PUT = 'PUT /customers/42?dry=1'

test('the body of a request on a route with labels is sealed under all of them, and its target stays', () => {
  const body = Buffer.from('{"email":"ada@x.org","tags":["é\\"x",7,4711,true],"age":null}')
  expect(sealedRequest(PUT, body, labels)).toEqual({
    text: PUT,
    parameters: ['[sealed 1]'],
    sealed: [{ labels: ['pii.email', 'pii.phone'], numbers: [1], values: [body.toString('base64')] }],
    labels: ['pii.email', 'pii.phone'],
    open: false,
  })
})

test('nothing is sealed without a body, or without labels', () => {
  expect(sealedRequest(PUT, Buffer.alloc(0), labels)).toBeUndefined()
  expect(sealedRequest(PUT, Buffer.from('x'), [])).toBeUndefined()
})

test('a mark in the target is not taken for the body', () => {
  const body = Buffer.from('secret')
  expect(sealedRequest('GET /[sealed 1]', body, labels)).toMatchObject({
    text: '[sealed 1]',
    parameters: ['[sealed 2]'],
    sealed: [{ numbers: [1, 2], values: ['GET /[sealed 1]', body.toString('base64')] }],
  })
})
