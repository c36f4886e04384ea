import fc from 'fast-check'
import { expect, it } from 'vitest'
import { matchesRoute, parseRoutePattern } from '../../wire/http/index.ts'
import { RouteIndex } from './route-index.ts'

const segment = fc.constantFrom('a', 'b', '{x}', '{y}', 'f{z}', '{z}.json', 'fa', '')
const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join('/')}`)

it('finds the one that a look at each in turn finds first', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('GET', 'PUT'), path), { maxLength: 8 }),
      path,
      (all, asked) => {
        const routes = all.flatMap(([method, text], n) => {
          const pattern = parseRoutePattern(text)
          return pattern === undefined ? [] : [{ method, pattern, n }]
        })
        const index = new RouteIndex<number>()
        for (const { method, pattern, n } of routes) index.add(method, pattern, n)
        const first = routes.find(({ method, pattern }) => method === 'GET' && matchesRoute(pattern, asked))
        expect(index.first('GET', asked)).toBe(first?.n)
      },
    ),
  )
})
