import type { Command } from '../../../core/index.ts'
import { withoutSecrets } from '../../../session/index.ts'
import { meaningfulFields } from '../../../wire/http/index.ts'
import { spellingsOf } from '../../../upstream-credentials/index.ts'

/** Fields whose values are for machines that check who asks. */
const SECRET_FIELD = /auth|token|secret|passw|api-?key|session|signature|credential/i

/**
 * What people read of a request before they answer for it: its line, the fields that an approval is bound to, and its body; with secrets
 * hidden in all of them. What is hidden is counted: the approval is for what really stands there.
 */
export function shownRequest(
  request: { readonly written: string; readonly headers: readonly string[]; readonly body: Uint8Array },
  secrets: readonly string[],
): Pick<Command, 'asked' | 'under'> {
  const { written, headers, body } = request
  const spellings = secrets.flatMap(spellingsOf)
  const hide = (bytes: Uint8Array): Buffer => withoutSecrets(bytes, spellings)
  const fields = meaningfulFields(headers).map((field) => {
    const at = field.indexOf(':')
    const [name, value] = [field.slice(0, at), field.slice(at + 2)]
    if (SECRET_FIELD.test(name) && value !== '') return `${name}: [hidden, ${value.length} characters]`
    return `${name}: ${hide(Buffer.from(value, 'latin1')).toString('latin1')}`
  })
  return {
    under: { changes: [], moved: false, fields },
    asked: {
      text: hide(Buffer.from(written)).toString(),
      ...(body.length === 0 ? {} : { parameters: [hide(body)] }),
    },
  }
}
