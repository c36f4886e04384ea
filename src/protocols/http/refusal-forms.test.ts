import { describe, expect, it } from 'vitest'
import { writtenRefusal } from './refusal-forms.ts'

const PROBLEM = {
  type: 'urn:sluice:error:denied',
  title: 'denied',
  status: 403,
  detail: 'No rule permits it.',
  remedy: 'Ask for a rule.',
  retry: 'only-if-changed',
  request: 'R.1',
}
const TEXT = 'No rule permits it. Ask for a rule. Request R.1.'

describe('a refusal', () => {
  it.each([
    ['nobody says', undefined],
    ['curl', '*/*'],
    ['axios', 'application/json, text/plain, */*'],
    ['one who takes problems', 'application/problem+json, application/json'],
    ['one who takes all of its kind', 'application/*;q=0.5'],
    ['a reader of events', 'text/event-stream'],
    ['a browser', 'text/html,application/xhtml+xml'],
  ])('is told as problem details to %s (P-09)', (_who, accept) => {
    const { contentType, body } = writtenRefusal(PROBLEM, accept)
    expect(contentType).toBe('application/problem+json')
    expect(JSON.parse(body.toString())).toEqual(PROBLEM)
  })

  it.each([
    ['application/json'],
    ['application/vnd.github.v3+json'],
    ['text/plain, application/json; q=0.9'],
  ])('has its sentence where SDKs look for it, for who takes %s (P-09)', (accept) => {
    const { contentType, body } = writtenRefusal(PROBLEM, accept)
    expect(contentType).toBe('application/json')
    const error = { type: 'urn:sluice:error:denied', code: 'denied', message: TEXT }
    expect(JSON.parse(body.toString())).toEqual({ ...PROBLEM, message: TEXT, error })
  })

  it('is an error of GraphQL for who takes those, with its ticket if it has one (P-09)', () => {
    const accept = 'application/graphql-response+json, application/json;q=0.9, */*'
    const { contentType, body } = writtenRefusal({ ...PROBLEM, ticket: 'T-1' }, accept)
    expect(contentType).toBe('application/graphql-response+json')
    const message = 'No rule permits it. Ask for a rule. Ticket T-1. Request R.1.'
    expect(JSON.parse(body.toString())).toEqual({
      errors: [{ message, extensions: { ...PROBLEM, ticket: 'T-1' } }],
    })
  })
})
