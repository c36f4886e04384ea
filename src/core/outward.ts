/** What recognises sensitive text by its look. */
export const DETECTOR_NAMES = ['email', 'card', 'iban', 'jwt', 'private-key', 'vendor-token'] as const
export type DetectorName = (typeof DETECTOR_NAMES)[number]

/**
 * What may be found in what a command sends: values that the gateway put in place of protected ones, secrets of its configuration,
 * what detectors find; and that not all of it could be looked into.
 */
export const OUTWARD_KINDS = ['masked', 'secret', ...DETECTOR_NAMES, 'unread'] as const
export type OutwardKind = (typeof OUTWARD_KINDS)[number]
