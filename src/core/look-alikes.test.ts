import { describe, expect, it } from 'vitest'
import { showLookAlikes } from './look-alikes.ts'

describe('letters that look like others (J-04)', () => {
  it.each([
    ['a Cyrillic a in a Latin name', 'UPDATE p\u0430yments', 'UPDATE p\\u{430}yments'],
    ['a Greek omicron', '"\u03bfrders"', '"\\u{3bf}rders"'],
    ['Greek and Cyrillic', '\u03bf\u0440\u0434', '\\u{3bf}\\u{440}\\u{434}'],
    [
      'a name of nothing but such letters',
      'DROP TABLE \u0441\u043e\u0440\u0443',
      'DROP TABLE \\u{441}\\u{43e}\\u{440}\\u{443}',
    ],
    ['with digits and underscores', '\u0430_1', '\\u{430}_1'],
    ['full width', '\uff21dmin', '\\u{ff21}dmin'],
    ['mathematical', '\u{1d51e}dmin', '\\u{1d51e}dmin'],
    ['dotless', 'adm\u0131n', 'adm\\u{131}n'],
    ['small capitals', '\u1d00dmin', '\\u{1d00}dmin'],
    ['the Kelvin sign', '\u212aeys', '\\u{212a}eys'],
    ['in a comment and in a value', "/* \u0441ity */ 'p\u0430y'", "/* \\u{441}ity */ 'p\\u{430}y'"],
  ])('%s', (_what, text, shown) => {
    expect(showLookAlikes(text)).toBe(shown)
  })

  it.each([
    "SELECT 'plain' FROM orders WHERE id = 1",
    "UPDATE größen SET straße = 'Müller-Lüdenscheidt', 名前 = 'Tシャツ'",
    "INSERT INTO города VALUES ('Санкт-Петербург', 'Αθήνα', '서울', 'يوم', 'ไทย')",
    "SELECT 'm²', '½', '€ 5', 'naïve café'",
  ])('and nothing else: %s', (text) => {
    expect(showLookAlikes(text)).toBe(text)
  })
})
