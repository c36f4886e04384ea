/** One thing that `sluice doctor` found. */
export type Finding = {
  readonly level: 'ok' | 'warning' | 'problem' | 'note'
  readonly about: string
  readonly message: string
  readonly remedy?: string | undefined
}

/**
 * Which keys the files of the journal need, by id (`undefined`: not encrypted), against those that the gateway has; the
 * first of these is for new files. Without a gateway that answers: what is needed.
 */
export function recordingFindings(
  use: ReadonlyMap<string | undefined, number>,
  has: readonly string[] | undefined,
): readonly Finding[] {
  const about = 'recording'
  const needed = [...use].flatMap(([id, files]) => (id === undefined ? [] : [{ id, files }]))
  const findings: Finding[] = []
  if (has === undefined) {
    if (needed.length > 0) {
      const keys = needed.map(({ id, files }) => `${id} (${filesOf(files)})`).join(', ')
      findings.push({ level: 'note', about, message: `To be read it needs the master keys ${keys}.` })
    }
  } else {
    const [current, ...others] = has
    const used = others.filter((id) => use.has(id))
    const unused = others.filter((id) => !use.has(id))
    const older = used.length === 0 ? '' : ` Older files need ${used.join(', ')}.`
    findings.push({
      level: 'ok',
      about,
      message: `New files are encrypted under the key ${current}.${older}`,
    })
    if (unused.length > 0) {
      findings.push({
        level: 'note',
        about,
        message: `No file of the journal needs ${unused.join(', ')} any more.`,
      })
    }
    for (const { id, files } of needed.filter((each) => !has.includes(each.id))) {
      findings.push({
        level: 'problem',
        about,
        message: `${filesOf(files)} of the journal cannot be read: the key ${id} is not given.`,
        remedy: 'Add that key after the present one, in the key file or in SLUICE_KEY.',
      })
    }
  }
  const plain = use.get(undefined) ?? 0
  if (plain > 0) {
    findings.push({
      level: 'warning',
      about,
      message: `${filesOf(plain)} of the journal, of an earlier version, lie there unencrypted.`,
    })
  }
  return findings
}

function filesOf(count: number): string {
  return count === 1 ? '1 file' : `${count} files`
}
