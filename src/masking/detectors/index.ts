/**
 * Detectors: what free text looks like that is probably sensitive. They find by look what no path names, miss whatever
 * is written in another way, and never stand in place of a label by place.
 * Promise: pure, linear in the text, and no hit is longer than `LIMITS.detectorWindowChars` unless it is one that is
 * swallowed to its end.
 */
import type { DetectorName } from '../../core/index.ts'
import { CARD, EMAIL, IBAN } from './personal.ts'
import { JWT, PRIVATE_KEY, VENDOR_TOKEN } from './secrets.ts'
import type { Detector } from './detector.ts'

export type { Detector, Hit } from './detector.ts'

/** Names as they stand in a configuration. */
export { DETECTOR_NAMES } from '../../core/index.ts'
export type { DetectorName } from '../../core/index.ts'

export const DETECTORS = {
  email: EMAIL,
  card: CARD,
  iban: IBAN,
  jwt: JWT,
  'private-key': PRIVATE_KEY,
  'vendor-token': VENDOR_TOKEN,
} as const satisfies Record<DetectorName, Detector>
