import { createHash } from 'node:crypto'
import { link, mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GatewayError, type SessionId } from '../../core/index.ts'
import { openIfThere, syncDirectory } from '../files/files.ts'
import { sessionFile, sessionName } from '../files/names.ts'
import type { Bucket } from './bucket.ts'
import { markFile, type Marks } from '../files/upload-marks.ts'

let fetches = 0

/**
 * Brings the file of a session back from the store, if it is not here: whole, and what the mark says that it was, or not at
 * all. Throws `not_found` where it was never uploaded or is not there any more, and `invalid` where it is another.
 */
export async function fetchSession(
  {
    directory,
    bucket,
    marks,
  }: { readonly directory: string; readonly bucket: Bucket; readonly marks: Marks },
  session: SessionId,
): Promise<void> {
  const path = sessionFile(directory, session)
  const there = await openIfThere(path)
  if (there !== undefined) return await there.close()
  const mark = await marks.read(session, 'up')
  if (mark === undefined) throw new GatewayError('not_found', `There is no recording of session ${session}.`)
  const found = await bucket.get(sessionName(session))
  if (found === undefined) {
    throw new GatewayError(
      'not_found',
      `The recording of session ${session} is not in the object store any more.`,
      {
        remedy:
          'It had been uploaded, and nobody here deleted it: find out who else can write into the bucket.',
      },
    )
  }
  const draft = `${markFile(directory, session, 'up')}.${process.pid}-${++fetches}.got`
  try {
    const hash = createHash('sha256')
    let bytes = 0
    const file = await open(draft, 'wx', 0o600)
    try {
      for await (const piece of found.body) {
        bytes += piece.length
        if (bytes > mark.bytes) break
        hash.update(piece)
        await file.appendFile(piece)
      }
    } finally {
      await file.close()
    }
    if (bytes !== mark.bytes || hash.digest('hex') !== mark.sha256) {
      throw new GatewayError(
        'invalid',
        `The recording of session ${session} is not in the object store as it was uploaded.`,
        {
          remedy:
            'It was changed there: find out who else can write into the bucket, and bring it back from a version or a copy.',
        },
      )
    }
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    // Never over another one: whoever seals may have written it meanwhile.
    await link(draft, path).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    })
    await syncDirectory(dirname(path))
  } finally {
    await rm(draft, { force: true })
  }
}
