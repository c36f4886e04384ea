/**
 * Who is there: minted credentials and how long they live.
 *
 * Leaves to others what an identity may do (policy), the bytes of a login (wire, protocols) and where things are kept
 * (ports here, implemented by the store). Promise: nobody is taken for somebody else, and every refusal has a reason
 * of its own in `facts.reason`.
 */
export * from './credentials.ts'
export * from './port.ts'
