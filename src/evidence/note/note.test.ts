import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../core/index.ts'
import { nodeEd25519 } from '../system/ed25519.ts'
import { nodeSha256 } from '../system/sha256.ts'
import { formatCheckpoint, openCheckpoint, parseCheckpoint } from './checkpoint.ts'
import { cosign, readCosignature } from './cosignature.ts'
import {
  formatSignerKey,
  formatVerifierKey,
  parseSignerKey,
  parseVerifierKey,
  type SignatureType,
  type SignerKey,
  verifierKey,
} from './keys.ts'
import { formatNote, parseNote, parseSignatureLines, signNote, verifyNote } from './note.ts'
import { decodeBase64, decodeCount, encodeBase64, encodeText } from './text.ts'

const vkey = (text: string) => parseVerifierKey(nodeSha256, text)
const skey = (text: string, type: SignatureType) => parseSignerKey(nodeSha256, nodeEd25519, text, type)
const signer = (name: string, seed: number, type: SignatureType = 'note'): SignerKey =>
  skey(formatSignerKey(nodeSha256, nodeEd25519, name, new Uint8Array(32).fill(seed)), type)

// The keys and notes of Go's package golang.org/x/mod/sumdb/note.
const PETER_PUBLIC = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const PETER_PRIVATE = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz'
const ENOCH_PUBLIC = 'EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop'
const TEXT =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
const PETER_LINE =
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n'
const ENOCH_LINE =
  '— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n'
// Of c2sp.org/signed-note.
const EXAMPLE_PUBLIC = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
const EXAMPLE_NOTE =
  'This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n'
// Of c2sp.org/tlog-cosignature and github.com/transparency-dev/formats.
const COSIGNED =
  'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n' +
  '— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n' +
  '— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n'
const REMORA_PUBLIC = 'remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2'
const REMORA_LINE =
  '— remora.n621.de ZGhGuQAAAABm/qTPeyKXD+R2rzyQsxPiP8mXum7qq/iF0u4vanlqJyocWODBt97w9uL+8qT7S5gxEHWWOworDcFiEBYJXORmnFBOBA==\n'

const note = (text: string) => parseNote(encodeText(text))

describe('the published notes', () => {
  it('are signed byte for byte alike', async () => {
    const peter = skey(PETER_PRIVATE, 'note')
    expect(formatVerifierKey(peter.key)).toBe(PETER_PUBLIC)
    expect(formatNote(await signNote(TEXT, [peter]))).toBe(`${TEXT}\n${PETER_LINE}`)
  })

  it('are verified, by whom it is known, and nobody else counts (P-06)', async () => {
    const [peter, enoch] = [vkey(PETER_PUBLIC), vkey(ENOCH_PUBLIC)]
    const both = note(`${TEXT}\n${PETER_LINE}${ENOCH_LINE}`)
    expect(await verifyNote(nodeEd25519, both, [peter, enoch])).toEqual({
      verified: [{ key: peter }, { key: enoch }],
      unknown: [],
    })
    expect(await verifyNote(nodeEd25519, both, [enoch])).toMatchObject({
      verified: [{ key: enoch }],
      unknown: [{ name: 'PeterNeumann', id: 0xc74f20a3 }],
    })
    await expect(verifyNote(nodeEd25519, both, [])).rejects.toMatchObject({ code: 'denied' })
    const { verified } = await verifyNote(nodeEd25519, note(EXAMPLE_NOTE), [vkey(EXAMPLE_PUBLIC)])
    expect(verified).toHaveLength(1)
  })

  it('say what they say', () => {
    const { text, signatures } = note(COSIGNED)
    expect(parseCheckpoint(text)).toMatchObject({
      origin: 'example.com/behind-the-sofa',
      size: 20852163,
      extensions: [],
    })
    expect(readCosignature(signatures[1]!.bytes)?.timestamp).toBe(1679315147)
    expect(readCosignature(signatures[0]!.bytes)).toBeUndefined()
    const [remora] = parseSignatureLines(REMORA_LINE)
    expect(readCosignature(remora!.bytes)?.timestamp).toBe(1727964367)
    expect(vkey(REMORA_PUBLIC)).toMatchObject({ type: 'cosignature', id: 0xda77ade7 })
    expect(formatNote(note(COSIGNED))).toBe(COSIGNED)
  })
})

describe('the text of a key', () => {
  it.each([PETER_PUBLIC, ENOCH_PUBLIC, EXAMPLE_PUBLIC, REMORA_PUBLIC])('is read and written: %s', (text) => {
    expect(formatVerifierKey(vkey(text))).toBe(text)
  })

  it('is refused wherever it is cut or changed, and never repeated', () => {
    const types = ['note', 'cosignature'] as const
    for (const [whole, read] of [
      [PETER_PUBLIC, vkey],
      ...types.map((type) => [PETER_PRIVATE, (text: string) => skey(text, type)] as const),
    ] as const) {
      const wrong: string[] = []
      for (let from = 0; from <= whole.length; from++)
        for (let to = from; to <= whole.length; to += 1)
          if (to - from < whole.length) wrong.push(whole.slice(from, to))
      for (let at = 0; at < whole.length; at++)
        wrong.push(whole.slice(0, at) + String.fromCharCode(whole.charCodeAt(at) + 1) + whole.slice(at + 1))
      wrong.push(`${whole}\n`, ` ${whole}`, 'x'.repeat(10_000))
      for (const text of wrong) {
        let failure: unknown
        try {
          read(text)
        } catch (error) {
          failure = error
        }
        expect(failure, text).toMatchObject({ code: 'invalid' })
        expect(String(failure)).not.toContain('AYEKFALV')
      }
    }
  })

  it('is refused with a key too long or a type nobody knows, though the id fits', () => {
    for (const text of [
      'PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==',
      'PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
    ])
      expect(() => vkey(text)).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  it('has one key under two ids, for notes and for witnesses', () => {
    const [log, witness] = [signer('a.example/w', 3), signer('a.example/w', 3, 'cosignature')]
    expect(log.key.publicKey).toEqual(witness.key.publicKey)
    expect(log.key.id).not.toBe(witness.key.id)
  })

  it.each(['', 'a b', 'a\u00a0b', 'a\u2003b', 'a\u0085b', 'a+b', 'a\nb', 'a'.repeat(256)])(
    'has no name such as %j',
    (name) => {
      expect(() => verifierKey(nodeSha256, name, 'note', new Uint8Array(32))).toThrow(
        expect.objectContaining({ code: 'invalid' }),
      )
    },
  )
})

describe('a note', () => {
  it.each([
    ['no empty line', `${TEXT}${PETER_LINE}`],
    ['no signature', `${TEXT}\n`],
    ['no newline at its end', `${TEXT}\n${PETER_LINE}`.slice(0, -1)],
    ['a tab', `a\tb\n\n${PETER_LINE}`],
    ['a carriage return', `a\r\n\n${PETER_LINE}`],
    ['a hyphen for the dash', `${TEXT}\n${PETER_LINE.replace('—', '-')}`],
    ['two spaces', `${TEXT}\n${PETER_LINE.replace('— ', '—  ')}`],
    ['something behind the signature', `${TEXT}\n${PETER_LINE.replace('=\n', '= x\n')}`],
    ['base 64 without padding', `${TEXT}\n${PETER_LINE.replace('=\n', '\n')}`],
    ['base 64 with bits to spare', `${TEXT}\n${PETER_LINE.replace('nAM=', 'nAN=')}`],
    ['a name with a plus', `${TEXT}\n${PETER_LINE.replace('Peter', 'P+')}`],
    ['a signature that is only an id', `${TEXT}\n— a AAAAAA==\n`],
  ])('is none with %s', (_what, text) => {
    expect(() => note(text)).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  it('is none where it is not UTF-8', () => {
    const bytes = encodeText(`${TEXT}\n${PETER_LINE}`).with(3, 0xff)
    expect(() => parseNote(bytes)).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  it('has the 16 signatures that must be taken at the size of post-quantum ones, and an end', () => {
    const line = `— a ${encodeBase64(new Uint8Array(5_000))}\n`
    expect(note(`a\n\n${line.repeat(16)}`).signatures).toHaveLength(16)
    const limit = expect.objectContaining({ code: 'limit_exceeded' })
    expect(() => note(`a\n\n${line.repeat(30)}`)).toThrow(limit)
    expect(() => note(`a\n\n${PETER_LINE.repeat(LIMITS.noteSignaturesMax + 1)}`)).toThrow(limit)
  })

  it('keeps empty lines of its text', async () => {
    const text = 'one\n\n\ntwo\n\n'
    const signed = await signNote(text, [signer('a', 1)])
    expect(note(formatNote(signed)).text).toBe(text)
    expect(formatNote(note(formatNote(signed)))).toBe(formatNote(signed))
  })

  it('is refused where one byte of it is another (P-06)', async () => {
    const bytes = encodeText(`${TEXT}\n${PETER_LINE}`)
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.with(at, bytes[at]! ^ 1)
      const opened = async () => verifyNote(nodeEd25519, parseNote(changed), [vkey(PETER_PUBLIC)])
      await expect(opened(), `byte ${at}`).rejects.toMatchObject({ code: /invalid|denied/ })
    }
  })

  it('is refused as a whole where a known key did not sign what it is said to have', async () => {
    const [a, b] = [signer('a', 1), signer('b', 2)]
    const of = async (text: string, ...by: SignerKey[]) => (await signNote(text, by)).signatures
    const mixed = { text: 'one\n', signatures: [...(await of('one\n', a)), ...(await of('two\n', b))] }
    await expect(verifyNote(nodeEd25519, mixed, [a.key, b.key])).rejects.toMatchObject({ code: 'denied' })
    expect((await verifyNote(nodeEd25519, mixed, [a.key])).unknown).toHaveLength(1)
    const twice = { text: 'one\n', signatures: await of('one\n', a, a) }
    expect((await verifyNote(nodeEd25519, twice, [a.key])).verified).toHaveLength(1)
  })
})

describe('a checkpoint', () => {
  const root = new Uint8Array(nodeSha256(encodeText('root')))
  const checkpoint = { origin: 'log.example/a', size: 12, root, extensions: [] }
  const [log, witness] = [signer('log.example/a', 1), signer('w.example', 2, 'cosignature')]
  const known = { origin: 'log.example/a', logKeys: [log.key], witnessKeys: [witness.key] }

  it('is written and read again', () => {
    fc.assert(
      fc.property(
        fc.record({
          origin: fc.stringMatching(/^[!-~][ -~]{0,40}$/),
          size: fc.maxSafeNat(),
          root: fc.uint8Array({ minLength: 32, maxLength: 32 }),
          extensions: fc.array(fc.stringMatching(/^[ -~]{1,40}$/), { maxLength: 3 }),
        }),
        (each) => {
          expect(parseCheckpoint(formatCheckpoint(each))).toEqual(each)
        },
      ),
    )
  })

  const lines = formatCheckpoint(checkpoint).split('\n')
  it.each([
    ['no end', lines.slice(0, 3).join('\n')],
    ['two lines', `${lines[0]}\n${lines[1]}\n`],
    ['an empty origin', `\n12\n${lines[2]}\n`],
    ['a size with a leading zero', `a\n012\n${lines[2]}\n`],
    ['a negative size', `a\n-1\n${lines[2]}\n`],
    ['a size in hexadecimal', `a\n0xc\n${lines[2]}\n`],
    ['a size beyond 2^53', `a\n9007199254740993\n${lines[2]}\n`],
    ['a short root', `a\n12\n${encodeBase64(root.subarray(1))}\n`],
    ['an empty extension', `a\n12\n${lines[2]}\n\nb\n`],
  ])('is none with %s', (_what, text) => {
    expect(() => parseCheckpoint(text)).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  it('is opened by the keys of its log, and names the witnesses with their times (P-06)', async () => {
    const signed = await signNote(formatCheckpoint(checkpoint), [log])
    const cosigned = { ...signed, signatures: [...signed.signatures, await cosign(witness, signed.text, 99)] }
    const opened = await openCheckpoint(nodeEd25519, encodeText(formatNote(cosigned)), known)
    expect(opened.checkpoint).toEqual(checkpoint)
    expect(opened.witnesses).toEqual([{ key: witness.key, timestamp: 99 }])
    const open = async (text: string, by = known) =>
      openCheckpoint(nodeEd25519, encodeText(text), by).then(
        () => 'opened',
        (error) => error.code,
      )
    expect(await open(formatNote(cosigned), { ...known, origin: 'log.example/b' })).toBe('denied')
    const alone = { ...signed, signatures: [await cosign(witness, signed.text, 99)] }
    expect(await open(formatNote(alone))).toBe('denied')
    // The time is signed, and so is every extension.
    const late = { ...cosigned.signatures[1]!, bytes: cosigned.signatures[1]!.bytes.with(7, 100) }
    expect(await open(formatNote({ ...signed, signatures: [signed.signatures[0]!, late] }))).toBe('denied')
    expect(await open(formatNote({ ...cosigned, text: `${cosigned.text}more\n` }))).toBe('denied')
    // What a witness signs is no note, and what a log signs no cosignature: neither stands for the other.
    const asLog = { ...known, logKeys: [signer('w.example', 2).key], witnessKeys: [] }
    expect(await open(formatNote(alone), asLog)).toBe('denied')
  })
})

describe('base 64 and numbers', () => {
  it('have one spelling', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (data) => {
        expect(encodeBase64(data)).toBe(Buffer.from(data).toString('base64'))
        expect(decodeBase64(encodeBase64(data))).toEqual(new Uint8Array(data))
      }),
    )
    for (const text of ['AA', 'AA=', 'AB==', 'A-==', 'AA==\n', ' AA==', 'AAAA====', '='])
      expect(decodeBase64(text), text).toBeUndefined()
    for (const text of ['', '00', '01', '+1', '1.0', '1e3', ' 1', '9007199254740992', '99999999999999999999'])
      expect(decodeCount(text), text).toBeUndefined()
    expect(decodeCount('9007199254740991')).toBe(Number.MAX_SAFE_INTEGER)
  })
})
