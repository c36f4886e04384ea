/** The statements of a psql script, as psql would send them: one by one, with the data of COPY, without what psql keeps. */
export type ScriptStatement = {
  readonly text: string
  /** What follows a COPY ... FROM STDIN, up to `\.`. */
  readonly data?: string
}

/** `$tag$`, at this place. */
const DOLLAR = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y

/** Statements with variables other than these are left out: what they say is decided while psql runs. */
export function statementsOf(script: string, variables: ReadonlyMap<string, string>): ScriptStatement[] {
  const known = new Map(variables)
  const found: ScriptStatement[] = []
  let text = ''
  let depth = 0
  let atomic = 0
  let at = 0
  const end = (hasSent: boolean) => {
    const statement = substituted(text, known)
    text = ''
    depth = 0
    atomic = 0
    if (!hasSent || statement === undefined || statement.trim() === '') return
    if (!/^\s*COPY\b[\s\S]*\bFROM\s+STDIN\b/i.test(statement)) {
      found.push({ text: statement })
      return
    }
    const from = script.indexOf('\n', at) + 1
    const until = script.indexOf('\n\\.', from - 1)
    found.push({ text: statement, data: until < from ? '' : script.slice(from, until + 1) })
    at = until < 0 ? script.length : script.indexOf('\n', until + 1)
    if (at < 0) at = script.length
  }
  while (at < script.length) {
    const rest = script[at] ?? ''
    const next = script[at + 1] ?? ''
    if (rest === "'" || rest === '"') {
      const escapes = rest === "'" && /[eE]$/.test(text) && !/[\w]{2}$/.test(text)
      const close = closing(script, at + 1, rest, escapes)
      text += script.slice(at, close)
      at = close
    } else if (rest === '-' && next === '-') {
      const line = script.indexOf('\n', at)
      at = line < 0 ? script.length : line
    } else if (rest === '/' && next === '*') {
      at = afterComment(script, at)
      text += ' '
    } else if (rest === '$' && !/[\w$]$/.test(text)) {
      DOLLAR.lastIndex = at
      const tag = DOLLAR.exec(script)?.[0]
      const close = tag === undefined ? -1 : script.indexOf(tag, at + tag.length)
      const until = tag === undefined || close < 0 ? at + 1 : close + tag.length
      text += script.slice(at, until)
      at = until
    } else if (rest === '\\') {
      const line = script.indexOf('\n', at)
      const command = script.slice(at, line < 0 ? script.length : line)
      at = line < 0 ? script.length : line
      const set = /^\\set\s+(\w+)\s+(\S.*)$/.exec(command)
      if (set !== null) known.set(set[1] ?? '', (set[2] ?? '').replaceAll(/^'|'$/g, ''))
      // These send what was gathered so far; of the others, psql answers itself.
      if (/^\\(g|gx|gset|gexec|gdesc|crosstabview|watch|;)/.test(command)) end(true)
      else if (command.startsWith('\\r')) end(false)
    } else if (rest === ';' && depth === 0 && atomic === 0) {
      at++
      end(true)
    } else {
      if (rest === '(') depth++
      if (rest === ')') depth = Math.max(0, depth - 1)
      const word = /^(BEGIN\s+ATOMIC|CASE|END)\b/i.exec(
        /\w$/.test(text) ? '' : script.slice(at, at + 20),
      )?.[1]
      if (word !== undefined && /^BEGIN/i.test(word)) atomic = 1
      else if (word !== undefined && atomic > 0) atomic += /^CASE/i.test(word) ? 1 : -1
      text += rest
      at++
    }
  }
  end(true)
  return found
}

function closing(script: string, from: number, quote: string, escapes: boolean): number {
  for (let at = from; at < script.length; at++) {
    if (escapes && script[at] === '\\') at++
    else if (script[at] === quote) {
      if (script[at + 1] !== quote) return at + 1
      at++
    }
  }
  return script.length
}

function afterComment(script: string, from: number): number {
  let depth = 0
  for (let at = from; at < script.length; at++) {
    const two = script.slice(at, at + 2)
    if (two === '/*') depth++
    if (two === '*/') depth--
    if (two === '/*' || two === '*/') at++
    if (depth === 0) return at + 1
  }
  return script.length
}

function substituted(text: string, known: ReadonlyMap<string, string>): string | undefined {
  let isWhole = true
  const result = text.replaceAll(
    /(?<![:\w'"[])(:)(['"]?)([A-Za-z_]\w*)\2(?!\w)/g,
    (whole, _, quote: string, name: string) => {
      const value = known.get(name)
      if (value === undefined) {
        // A slice of an array or a cast looks alike; what psql does not know, it leaves as it is.
        if (quote !== '') isWhole = false
        return whole
      }
      return quote === '' ? value : `${quote}${value.replaceAll(quote, quote + quote)}${quote}`
    },
  )
  return isWhole ? result : undefined
}
