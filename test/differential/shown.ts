/**
 * What the server said, as lines that two runs can be compared by. Every byte counts, but for what must differ between
 * two databases: object ids given out later, process ids and cancel keys are numbered in the order they appear.
 */
import type { Message } from './raw-client.ts'

/** Ids below this are the same in every database (FirstNormalObjectId). */
const FIRST_NORMAL_OID = 16_384

export class Shower {
  readonly #numbered = new Map<string, number>()

  show(messages: readonly Message[]): string[] {
    return messages.map((each) => this.#line(each))
  }

  #line({ type, body }: Message): string {
    switch (type) {
      case 'T':
        return `T ${this.#fields(body)}`
      case 't':
        return `t ${this.#oids(body)}`
      case 'A':
        return `A ${JSON.stringify(body.subarray(4).toString('latin1'))}`
      case 'R':
        // What follows the request's number is proof or challenge, different each time.
        return `R ${body.readInt32BE(0)}`
      case 'K':
        return `K ${body.length}`
      case 'E':
      case 'N':
        return `${type} ${this.#error(body)}`
      default:
        return `${type} ${JSON.stringify(body.toString('latin1'))}`
    }
  }

  #number(what: string, value: number): string {
    if (value < FIRST_NORMAL_OID) return String(value)
    const key = `${what} ${value}`
    const known = this.#numbered.get(key) ?? this.#numbered.size
    this.#numbered.set(key, known)
    return `#${known}`
  }

  #fields(body: Buffer): string {
    const fields: string[] = []
    for (let at = 2; at < body.length; ) {
      const end = body.indexOf(0, at)
      const name = body.toString('utf8', at, end)
      const [table, attribute] = [body.readUInt32BE(end + 1), body.readInt16BE(end + 5)]
      const [type, size] = [body.readUInt32BE(end + 7), body.readInt16BE(end + 11)]
      const [modifier, format] = [body.readInt32BE(end + 13), body.readInt16BE(end + 17)]
      fields.push(
        `${name}|${this.#number('oid', table)}.${attribute}|${this.#number('oid', type)}|${size}|${modifier}|${format}`,
      )
      at = end + 19
    }
    return fields.join('  ')
  }

  #oids(body: Buffer): string {
    const oids: string[] = []
    for (let at = 2; at < body.length; at += 4) oids.push(this.#number('oid', body.readUInt32BE(at)))
    return oids.join(' ')
  }

  /** All fields, with the server's file and line: the same binary answers both. Ids in texts are hidden. */
  #error(body: Buffer): string {
    const fields = body.toString('utf8').split('\0').filter(Boolean)
    return fields.map((each) => each.replaceAll(/\b(?:oid|OID|PID|process) \d{5,}\b/g, '(id)')).join(' | ')
  }
}
