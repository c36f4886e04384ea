import { describe, expect, it } from 'vitest'
import { withOwnAddresses } from './own-addresses.ts'

const UPSTREAM = { origin: 'https://api.internal', base: '/v1' }
const GATEWAY = { origin: 'http://gateway:18080', base: '/c/crm' }

const shown = (name: string, value: string, upstream = UPSTREAM): string | undefined =>
  withOwnAddresses([name, value], upstream, GATEWAY)[1]

describe('an address in an answer', () => {
  it.each([
    ['https://api.internal/v1/orders/7?a=1#b', 'http://gateway:18080/c/crm/orders/7?a=1#b'],
    ['HTTPS://API.internal:443/v1/orders', 'http://gateway:18080/c/crm/orders'],
    ['https://somebody:secret@api.internal/v1/orders', 'http://gateway:18080/c/crm/orders'],
    ['//api.internal/v1/orders', 'http://gateway:18080/c/crm/orders'],
    ['https://api.internal/v1', 'http://gateway:18080/c/crm/'],
    ['https://api.internal/v1?page=2', 'http://gateway:18080/c/crm/?page=2'],
    ['/v1/orders/7', '/c/crm/orders/7'],
  ])('of the upstream is one of the gateway: %s', (from, to) => {
    expect(shown('Location', from)).toBe(to)
    expect(shown('content-location', from)).toBe(to)
    expect(shown('Link', `<${from}>; rel="next"`)).toBe(`<${to}>; rel="next"`)
  })

  it.each([
    'https://elsewhere.example/v1/orders',
    'http://api.internal/v1/orders',
    'https://api.internal:8443/v1/orders',
    'https://api.internal.elsewhere.example/v1/',
    'https://api.internal/v10/orders',
    'https://api.internal/v1/../admin',
    'https://api.internal/v1/%2e%2e/admin',
    'https://api.internal/x/../v1/orders',
    'https://api.internal/',
    '/v2/orders',
    'orders/8',
    '?page=2',
    '#top',
    '',
    'mailto:v1/a@api.internal',
    'https://[/v1/',
  ])('that lies elsewhere stays as it is: %s', (address) => {
    expect(shown('Location', address)).toBe(address)
  })

  it('is found in each link, and in no other field', () => {
    const link =
      '<https://api.internal/v1/a?x=1,2>; rel="next", <https://elsewhere.example/v1/b>; title="of <x>, y", </v1/c>; rel=last'
    expect(shown('link', link)).toBe(
      '<http://gateway:18080/c/crm/a?x=1,2>; rel="next", <https://elsewhere.example/v1/b>; title="of <x>, y", </c/crm/c>; rel=last',
    )
    expect(shown('x-next', 'https://api.internal/v1/a')).toBe('https://api.internal/v1/a')
  })

  it('of an upstream without a path in front is one, too', () => {
    const bare = { origin: 'http://127.0.0.1:8080', base: '' }
    expect(shown('location', 'http://127.0.0.1:8080/x', bare)).toBe('http://gateway:18080/c/crm/x')
    expect(shown('location', 'http://127.0.0.1:8080', bare)).toBe('http://gateway:18080/c/crm/')
    expect(shown('location', '/', bare)).toBe('/c/crm/')
  })
})
