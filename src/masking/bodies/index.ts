/**
 * Bodies: one machine for each kind of text that answers are written in. Fed with pieces of any size, each gives out what
 * may be shown so far, keeps one scalar of at most 64 KiB and the path to it, and throws what it cannot read. What is not
 * masked comes out byte for byte as it went in.
 */
import { assertNever } from '../../core/index.ts'
import { CsvBody } from './csv.ts'
import { EventsBody } from './events.ts'
import { FormBody } from './form.ts'
import { JsonRewriter } from './json.ts'
import { JsonLines } from './lines.ts'
import type { BodyMasking, BodyPlan } from './plan.ts'
import { TextBody } from './text.ts'
import { XmlBody } from './xml.ts'
import type { CsvForm } from './csv.ts'

export type BodyKind =
  | { readonly kind: 'json' }
  | { readonly kind: 'json-lines' }
  /** One of many documents that come one by one. */
  | { readonly kind: 'json-message' }
  | { readonly kind: 'events' }
  | ({ readonly kind: 'csv' } & CsvForm)
  | { readonly kind: 'form' }
  | { readonly kind: 'xml' }
  | { readonly kind: 'text' }

/** The machine for one body; undefined: in bodies of this kind nobody finds what has to be masked by place. */
export function maskBody(body: BodyKind, plan: BodyPlan): BodyMasking | undefined {
  switch (body.kind) {
    case 'json':
      return new JsonRewriter(plan, plan.tally())
    case 'json-lines':
      return new JsonLines(plan)
    case 'json-message':
      return new JsonRewriter(plan, plan.tally(), plan.paths.row)
    case 'events':
      return new EventsBody(plan)
    case 'csv':
      return new CsvBody(plan, body)
    case 'form':
      return new FormBody(plan)
    case 'xml':
      return new XmlBody(plan)
    case 'text':
      return plan.paths.assignments.length > 0 ? undefined : new TextBody(plan)
    default:
      return assertNever(body)
  }
}
