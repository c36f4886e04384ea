import { styleText } from 'node:util'
import { safeText } from '../recording/index.ts'

/** An error or a notice in PostgreSQL's words: https://www.postgresql.org/docs/current/protocol-error-fields.html */
export type SqlNotice = {
  readonly severity: string
  readonly code: string
  readonly message: string
  readonly detail?: string
  readonly hint?: string
}

type Fields = { readonly [K in keyof SqlNotice]?: string | undefined }

export function noticeOf({ severity, code, message, detail, hint }: Fields): SqlNotice {
  return {
    severity: severity ?? '',
    code: code ?? '',
    message: message ?? '',
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
  }
}

export function noticeText(notice: SqlNotice): string {
  const severity = styleText('yellow', notice.severity, { stream: process.stderr })
  return [`${severity}: ${safeText(notice.message)}`, ...moreText(notice)].join('\n')
}

/** An error that came in the protocol's own words, from the server or from the gateway in its place. */
export class SqlError extends Error {
  override readonly name = 'SqlError'
  readonly fields: SqlNotice
  readonly notices: readonly SqlNotice[]

  constructor(fields: SqlNotice, notices: readonly SqlNotice[]) {
    super(fields.message)
    this.fields = fields
    this.notices = notices
  }

  /** As psql shows it with VERBOSITY verbose. */
  text(): string {
    const severity = styleText('red', this.fields.severity, { stream: process.stderr })
    return [`${severity}: ${this.fields.code}: ${safeText(this.message)}`, ...moreText(this.fields)].join(
      '\n',
    )
  }
}

function moreText(notice: SqlNotice): string[] {
  return [
    ...(notice.detail === undefined ? [] : [`DETAIL: ${safeText(notice.detail)}`]),
    ...(notice.hint === undefined ? [] : [`HINT: ${safeText(notice.hint)}`]),
  ]
}
