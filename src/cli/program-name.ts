/** How this program was called, for commands that are printed to be copied. */
export function programName(): string {
  if (process.env.npm_lifecycle_event === 'sluice') return 'npm run -s sluice --'
  return process.env.npm_command === 'exec' ? 'npx sluice-gateway' : 'sluice'
}
