/** A column as the database describes it. */
export type FoundColumn = {
  readonly schema: string
  readonly table: string
  readonly column: string
  /** As `format_type` writes it: `text`, `character varying(80)`, `boolean`. */
  readonly type: string
}

export type ProposedLabel = FoundColumn & { readonly label: string }

/** How each proposed label is hidden, as it stands in sluice.yaml. */
export const MASKS = {
  'pii.email': '{ kind: partial, of: email }',
  'pii.phone': '{ kind: partial, of: last, keep: 2 }',
  'pii.name': '{ kind: partial, of: first, keep: 1 }',
  'pii.address': 'full',
  'pii.birth': 'full',
  'pii.national_id': 'full',
  'pii.ip': 'full',
  'finance.iban': '{ kind: partial, of: last, keep: 4 }',
  'finance.card': '{ kind: partial, of: last, keep: 4 }',
  'finance.salary': 'full',
  'health.record': 'full',
  secret: 'full',
} as const

type LabelName = keyof typeof MASKS

/** What a column's name says of its content, the strictest first. Names are compared in snake_case. */
const NAMES: readonly (readonly [LabelName, RegExp])[] = [
  [
    'secret',
    /(^|_)(password|passwd|pwd|pass_?phrase|pass_?word_hash|secret|private_key|totp|otp|pin|salt)(_|$)/,
  ],
  ['secret', /(^|_)(api|secret|access|auth|encryption|signing|session|license)_?key(_|$)/],
  ['secret', /(^|_)(token|credential|credentials|cookie)(_|$)/],
  ['finance.iban', /(^|_)(iban|bic|swift|account_number|bank_account|routing_number|sort_code)(_|$)/],
  ['finance.card', /(^|_)(card_?number|credit_?card|cc_?number|pan|cvv|cvc|card)(_|$)/],
  ['finance.salary', /(^|_)(salary|wage|compensation|income)(_|$)/],
  [
    'pii.national_id',
    /(^|_)(ssn|social_security(_number)?|tax_?id|national_?id|passport(_number)?|driver_?licen[cs]e|nhs_number|vat_?id)(_|$)/,
  ],
  ['pii.email', /(^|_)(e_?mail|mail_address)(s|_address|_addresses)?(_|$)/],
  ['pii.phone', /(^|_)(phone|telephone|mobile|cell|fax|msisdn)(_?number|s)?(_|$)/],
  ['pii.birth', /(^|_)(birth|birthday|birth_?date|date_of_birth|dob)(_|$)/],
  ['pii.ip', /(^|_)(ip|ip_?addr(ess)?|remote_addr|mac_?address)(_|$)/],
  [
    'pii.address',
    /(^|_)(address|street|address_?line_?\d?|house_number|zip|zip_?code|post_?code|postal_?code)(_\d)?(_|$)/,
  ],
  [
    'pii.name',
    /(^|_)(first|last|full|given|family|middle|maiden|display|sur|legal|contact|customer|patient|recipient|holder|person)_?names?(_|$)/,
  ],
  ['health.record', /(^|_)(diagnosis|diagnoses|medication|allergies|blood_type|disability)(_|$)/],
]

/** Tables whose rows are people: there a plain `name` is a person's. */
const PEOPLE =
  /(^|_)(customer|user|employee|person|people|contact|patient|member|client|candidate|student|author|guest|passenger|subscriber|applicant|staff|lead|tenant_user|owner|profile|recipient|participant)s?(_|$)/

/** Facts about something rather than the thing: `email_verified_at`, `phone_type`, `has_password`. */
const ABOUT =
  /^(is|has|can|num|count|total|needs|allow)_|_(at|count|type|id|ids|verified|enabled|required|status|version|format|limit|length|expires|expiry|attempts|used|kind|algorithm)$/

/** Types that cannot hold such a value. */
const WITHOUT_VALUE = /^(boolean|oid|interval|tsvector|tsquery|point|box|circle|line|lseg|path|polygon)$/

/**
 * Labels for the columns whose names say that their values need protection. A proposal: names lie, and a column called
 * `notes` may hold anything. Columns that are only about such a value are left alone.
 */
export function proposeLabels(columns: readonly FoundColumn[]): ProposedLabel[] {
  return columns.flatMap((column) => {
    const label = labelOf(column)
    return label === undefined ? [] : [{ ...column, label }]
  })
}

function labelOf({ table, column, type }: FoundColumn): LabelName | undefined {
  const name = snakeCase(column)
  if (WITHOUT_VALUE.test(type) || ABOUT.test(name)) return undefined
  const found = NAMES.find(([, pattern]) => pattern.test(name))
  if (found !== undefined) return found[0]
  return (name === 'name' || name === 'nickname') && PEOPLE.test(snakeCase(table)) ? 'pii.name' : undefined
}

/** `firstName` and `First-Name` as `first_name`. */
function snakeCase(name: string): string {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/[^A-Za-z0-9]+/g, '_')
    .toLowerCase()
}

/** `public.customers.email` as a pattern of the configuration; parts with other characters in double quotes. */
export function patternOf({ schema, table, column }: FoundColumn): string {
  return [schema, table, column]
    .map((part) => (/^[^."*\s]+$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`))
    .join('.')
}
