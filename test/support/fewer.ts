/** For tests that repeat much: `npm run check` has to be done in a minute, `npm test` takes its time. */

/** True under `npm run check`. */
export const everyday: boolean = process.env['SLUICE_EVERYDAY'] === '1'

/** How often to repeat: `count` times in `npm test`, a fifth of that in `npm run check`. */
export function fewer(count: number): number {
  return everyday ? Math.ceil(count / 5) : count
}
