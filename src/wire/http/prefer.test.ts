import { describe, expect, it } from 'vitest'
import { meaningOfHeaders } from './headers.ts'
import { otherPreferences, waitingPreference } from './prefer.ts'

describe('what a client prefers (RFC 7240)', () => {
  it.each([
    [['prefer', 'respond-async'], { respondAsync: true, waitS: undefined }],
    [['Prefer', 'Respond-Async, wait=10'], { respondAsync: true, waitS: 10 }],
    [['Prefer', 'wait="5"', 'prefer', 'wait=9'], { respondAsync: false, waitS: 5 }],
    [['Prefer', 'return=minimal; x="a, respond-async"'], { respondAsync: false, waitS: undefined }],
    [['Prefer', 'wait=-1, wait=soon'], { respondAsync: false, waitS: undefined }],
    [['Preferred', 'respond-async'], { respondAsync: false, waitS: undefined }],
  ])('is read from %j', (raw, expected) => {
    expect(waitingPreference(raw)).toEqual(expected)
  })

  it('of waiting makes no other request, and anything else does (P-05)', () => {
    expect(otherPreferences('wait=3, return=minimal, respond-async')).toBe('return=minimal')
    expect(meaningOfHeaders(['Prefer', 'respond-async, wait=3'])).toBe('')
    expect(meaningOfHeaders(['Prefer', 'respond-async, handling=lenient'])).toBe('prefer: handling=lenient')
    expect(meaningOfHeaders(['Prefer', 'waiting-for=x'])).toBe('prefer: waiting-for=x')
  })
})
