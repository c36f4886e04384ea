/** Texts of JSON that some readers take and others do not, or take for something else: `{` stands before, `}` behind. */
export const UNEQUAL_JSON: readonly (readonly [name: string, text: string])[] = [
  ['a constant that is none', '"x":NaN'],
  ['an infinite number', '"x":-Infinity'],
  ['a name twice', '"x":1,"x":2'],
  ['a name twice, spelled otherwise', '"x":1,"\\u0078":2'],
  ['a text that is no Unicode', '"x":"\\ud800"'],
  ['a long number', `"x":${'7'.repeat(5_000)}`],
  ['a long fraction', `"x":0.${'7'.repeat(40)}`],
  ['many levels', `"x":${'['.repeat(100)}${']'.repeat(100)}`],
  ['very many levels', `"x":${'['.repeat(5_000)}${']'.repeat(5_000)}`],
]

/** Ways to change an evidence file so that it says more than it proves, or something else to another reader. */
export function tamperedEvidence(text: string): readonly (readonly [name: string, bytes: Uint8Array])[] {
  const edit = (name: string, from: string | RegExp, to: string) =>
    [name, Buffer.from(text.replace(from, to))] as const
  const hidden = /"salt":"[^"]*",("bytes":"[^"]*")/
  return [
    ...UNEQUAL_JSON.map(([name, more]) => edit(name, /\}\n$/, `,${more}}\n`)),
    edit('a field more', /\}\n$/, ',"note":"x"}\n'),
    edit('a field more in a frame', '"frames":[{', '"frames":[{"note":"x",'),
    edit('a field more in an entry', '"entries":[{', '"entries":[{"note":"x",'),
    edit('bytes beside a state', hidden, '$1,"state":"hidden"'),
    edit('salt and bytes beside a state', hidden, '"salt":"AAAAAAAAAAAAAAAAAAAAAA==",$1,"state":"removed"'),
    edit('a state that is none', hidden, '"state":"shown"'),
    edit('no frames', /"frames":\[.*\]/, '"frames":{}'),
    edit('no list of entries', /,"entries":\[.*\](?=,"frames")/, ''),
    edit('another format', 'sluice evidence 1', 'sluice evidence 2'),
    [
      'bytes that are no UTF-8',
      Buffer.concat([Buffer.from(text.slice(0, -2)), Buffer.from(',"x":"\xff"}', 'latin1')]),
    ],
    ['a byte order mark', Buffer.from(`\ufeff${text}`)],
    ['two of them', Buffer.from(text + text)],
  ]
}
