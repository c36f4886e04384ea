import type { RelationKind } from './catalogue.ts'

/** What the upstream says about its definitions, one list per question. Oids are numbers. */
export type CatalogueParts = {
  readonly epoch: number
  readonly database: string
  readonly searchPath: string
  readonly relations: readonly {
    readonly oid: number
    readonly schema: string
    readonly name: string
    readonly kind: RelationKind
    readonly hasTriggers: boolean
    readonly hasRules: boolean
  }[]
  /** In the order of relation and number. */
  readonly columns: readonly {
    readonly relation: number
    readonly attribute: number
    readonly name: string
    readonly type: number
    /** Its collation takes for equal what is more than spellings of one text. */
    readonly loose?: boolean
  }[]
  /** Columns that the keys of partitioned tables look at, also in expressions; 0 is the whole row. */
  readonly partitioned?: readonly { readonly relation: number; readonly attribute: number }[]
  readonly inherits: readonly { readonly child: number; readonly parent: number }[]
  /** Columns computed from other columns of their row. */
  readonly generated: readonly {
    readonly relation: number
    readonly attribute: number
    readonly from: number
  }[]
  /** Rules (a view is one) and the relations they name. */
  readonly ruleReads: readonly { readonly relation: number; readonly of: number }[]
  /** Rules and the functions they call, those behind operators included. */
  readonly ruleCalls: readonly {
    readonly relation: number
    readonly schema: string
    readonly name: string
    readonly builtin: boolean
    readonly operator: boolean
    readonly extension: string | null
  }[]
  readonly system: readonly { readonly oid: number; readonly schema: string; readonly name: string }[]
  readonly functions: readonly {
    readonly schema: string
    readonly name: string
    readonly volatile: boolean
    /** Can be called with a single argument; so it is where that is not told. */
    readonly takesOne?: boolean
    /** With how many arguments it can be called; with any number where that is not told. */
    readonly least?: number
    readonly most?: number
    readonly extension: string | null
  }[]
  readonly operators: readonly {
    /** Absent: it is not told. */
    readonly schema?: string
    readonly name: string
    readonly extension: string | null
  }[]
  readonly types: readonly {
    readonly oid: number
    readonly schema: string
    readonly name: string
    /** As in pg_type.typtype: b base, c composite, d domain, e enumeration, r range, m multirange. */
    readonly form: string
    /** Of a domain, of an array's elements, or of a range without code of a user; 0 for none. */
    readonly base: number
    readonly userChecks: boolean
    /** Of a composite type: the relation whose columns are its fields. */
    readonly relation?: number
    /** Its collation takes different values for equal; so it does where that is not told. */
    readonly loose?: boolean
    readonly extension: string | null
  }[]
  /**
   * Columns that unique indexes, keys and exclusion constraints look at, also in expressions and conditions; 0 is the
   * whole row.
   */
  readonly unique?: readonly {
    readonly relation: number
    readonly attribute: number
    /** Which of them it is. Absent: one of this column alone. */
    readonly index?: number
    /** It looks at no row that has NULL there, and NULL is what a row has that does not name the column. */
    readonly spares?: boolean
    /** Compared by more than equality, as with `&&`. */
    readonly overlaps?: boolean
  }[]
  /** Constraints and unique indexes. */
  readonly constraints?: readonly { readonly relation: number; readonly name: string }[]
  readonly schemas?: readonly string[]
  /** Roles to act as; with a schema: one that it may not use. */
  readonly roles?: readonly { readonly name: string; readonly unusable: string | null }[]
  /**
   * What hangs on relations and refers to things of users: row policies, defaults, checks, indexes, keys of partitions.
   * `of`: the system catalogue of what is referred to. `reading`: reading the relation runs it as well.
   */
  readonly hung?: readonly {
    readonly relation: number
    readonly reading: boolean
    readonly of: string
    readonly oid: number
    readonly extension: string | null
  }[]
  /** Types with a default operator class of users. */
  readonly compared?: readonly { readonly type: number; readonly extension: string | null }[]
  /** A write to `to` may go on to `from`, which refers to it. */
  readonly cascades?: readonly { readonly from: number; readonly to: number }[]
  /** Event triggers and where their functions are from. */
  readonly eventTriggers?: readonly { readonly extension: string | null }[]
  /** Functions whose bodies say that they change where names are looked for, or as whom. */
  readonly moving?: readonly { readonly extension: string | null }[]
  /** Casts by functions of users. */
  readonly casts: readonly {
    readonly source: number
    readonly target: number
    readonly extension: string | null
  }[]
  /** The queries of views and materialised views, every name in them in full. */
  readonly views: readonly { readonly relation: number; readonly definition: string }[]
}
