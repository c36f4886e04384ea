/** What `recording:` of the configuration says of the log. Plain data: it goes to another thread. */
export type LogSettings = {
  /** What the log is called; undefined: a name of its own. Takes effect when the gateway starts. */
  readonly name: string | undefined
  /** Who cosigns checkpoints: submission prefix, and the text of the public key. */
  readonly witnesses: readonly { readonly url: string; readonly key: string }[]
  readonly publish: PublishSettings
}

/** Where checkpoints go, so that they are known elsewhere than here. */
export type PublishSettings = {
  /** Replaced as a whole with each one. */
  readonly file: string | undefined
  /** Each is posted to it. */
  readonly url: string | undefined
  readonly stdout: boolean
  /** At most one in this time; the newest. */
  readonly everyMs: number
}

export const NO_LOG_SETTINGS: LogSettings = {
  name: undefined,
  witnesses: [],
  publish: { file: undefined, url: undefined, stdout: false, everyMs: 10_000 },
}
