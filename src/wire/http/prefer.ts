/** How a client wants to wait, RFC 7240 sections 4.1 and 4.3. */
export type WaitingPreference = {
  /** Rather an answer that says where to look than none for long. */
  readonly respondAsync: boolean
  /** Seconds; undefined: it does not say. */
  readonly waitS: number | undefined
}

/** What the fields of a request (names and values in turn) say. Of two of a name the first counts (section 2). */
export function waitingPreference(raw: readonly string[]): WaitingPreference {
  let respondAsync = false
  let waitS: number | undefined
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.toLowerCase() !== 'prefer') continue
    for (const each of preferencesIn(raw[i + 1] ?? '')) {
      if (/^respond-async$/i.test(each)) respondAsync = true
      const [, seconds] = /^wait\s*=\s*"?(\d{1,9})"?$/i.exec(each) ?? []
      waitS ??= seconds === undefined ? undefined : Number(seconds)
    }
  }
  return { respondAsync, waitS }
}

/** A value of Prefer without those: what is left may have a say in what is done. Empty: nothing is left. */
export function otherPreferences(value: string): string {
  return preferencesIn(value)
    .filter((each) => !/^(?:respond-async|wait)\s*(?:=|;|$)/i.test(each))
    .join(', ')
}

/** Commas in quotes part nothing. */
function preferencesIn(value: string): readonly string[] {
  return (value.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? [])
    .map((each) => each.trim())
    .filter((each) => each !== '')
}
