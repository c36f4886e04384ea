import type { EventStreams } from '../events.ts'
import type { AnyRoute } from '../route.ts'
import { none, route, stream } from '../route.ts'

export function eventRoutes(events: EventStreams): readonly AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/events',
      summary: 'Server-sent events: `approval` and `session`, each time one changes.',
      access: ['operator socket', 'admin', 'operator', 'auditor', 'approver'],
      produces: 'text/event-stream',
      params: none,
      query: none,
      body: none,
      answer: stream(),
      handle: () => events.subscribe(),
    }),
  ]
}
