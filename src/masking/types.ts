/** How the bytes of a value are written: as text, or in the binary form of its type. */
export type ValueFormat = 'text' | 'binary'

/** What a value is, as far as masking has to know it. Types of PostgreSQL; other sources have only `text`. */
export type ValueType =
  /** Bytes of text, the same in both formats: text, varchar, bpchar, name, citext, and what is not known yet. */
  | { readonly kind: 'text' }
  /** One byte: "char". */
  | { readonly kind: 'char' }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'integer'; readonly bytes: 2 | 4 | 8 }
  | { readonly kind: 'float'; readonly bytes: 4 | 8 }
  | { readonly kind: 'numeric' }
  | { readonly kind: 'date' }
  | { readonly kind: 'timestamp'; readonly zoned: boolean }
  | { readonly kind: 'uuid' }
  | { readonly kind: 'inet'; readonly cidr: boolean }
  | { readonly kind: 'bytea' }
  /** jsonb has a version byte in front of its text in binary form. */
  | { readonly kind: 'json'; readonly versioned: boolean }
  | { readonly kind: 'xml' }
  | { readonly kind: 'enum'; readonly labels: readonly string[] }
  | { readonly kind: 'array'; readonly element: ValueType; readonly delimiter: string }
  | { readonly kind: 'range'; readonly of: ValueType }
  | { readonly kind: 'multirange'; readonly of: ValueType }
  | { readonly kind: 'composite'; readonly attributes: readonly ValueType[] }
  /** A type whose masked values can say nothing: one value of it stands for all. */
  | { readonly kind: 'neutral'; readonly name: NeutralName }
  /** A type that nothing is known of: only NULL is surely one of its values. */
  | { readonly kind: 'other' }

/** Types whose masked values say nothing; `oid` is also all that is written as one. */
export type NeutralName =
  | 'bit'
  | 'box'
  | 'circle'
  | 'hstore'
  | 'int2vector'
  | 'interval'
  | 'jsonpath'
  | 'line'
  | 'lseg'
  | 'lsn'
  | 'macaddr'
  | 'macaddr8'
  | 'money'
  | 'multirange'
  | 'oid'
  | 'oidvector'
  | 'path'
  | 'point'
  | 'polygon'
  | 'range'
  | 'snapshot'
  | 'tid'
  | 'time'
  | 'timetz'
  | 'tsquery'
  | 'tsvector'
  | 'varbit'
  | 'xid8'

export const TEXT: ValueType = { kind: 'text' }
export const OTHER: ValueType = { kind: 'other' }
