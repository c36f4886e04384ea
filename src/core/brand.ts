/** A string that the compiler will not confuse with another kind of string. The one place that may use `as`. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name }

/** Turns a string into its branded form. Call it where the value is made or checked, nowhere else. */
export function brand<B extends Brand<string, string>>(value: string): B {
  return value as B
}

/** Ends a `switch` over a union: a member added later does not compile until every switch answers for it. */
export function assertNever(value: never): never {
  throw new Error(`not a member of the union: ${JSON.stringify(value)}`)
}
