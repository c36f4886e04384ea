import type { Secret } from './secret.ts'

/**
 * Where a secret comes from: what `${env:NAME}`, `${file:path}`, `${store:name}`, `${command:...}` and
 * `${vault:path#field}` in the configuration mean, or a value written there in clear. The configuration parses it, connections resolve it.
 */
export type SecretRef =
  | { readonly kind: 'env'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'store'; readonly name: string }
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'vault'; readonly path: string; readonly field: string }
  | { readonly kind: 'literal'; readonly value: Secret }

/** The reference as people write it, for messages: never the value, and of a command only the program. */
export function describeSecretRef(ref: SecretRef): string {
  switch (ref.kind) {
    case 'env':
      return `\${env:${ref.name}}`
    case 'file':
      return `\${file:${ref.path}}`
    case 'store':
      return `\${store:${ref.name}}`
    case 'command':
      return `\${command:${ref.command.trim().split(/\s+/, 1)[0] ?? ''} ...}`
    case 'vault':
      return `\${vault:${ref.path}#${ref.field}}`
    case 'literal':
      return '[secret]'
  }
}
