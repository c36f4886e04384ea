/** What Slack refuses of a message: https://docs.slack.dev/reference/block-kit/blocks and chat.postMessage. */
export function slackFault(body: Readonly<Record<string, unknown>>): string | undefined {
  const { channel, text, blocks } = body
  if (typeof channel !== 'string' || !/^[CDGU][A-Z0-9]+$/.test(channel)) return 'channel_not_found'
  if (typeof text !== 'string' || text === '') return 'no_text'
  if (text.length > 40_000) return 'msg_too_long'
  if (!Array.isArray(blocks) || blocks.length > 50) return 'invalid_blocks'
  // Not documented, but seen: https://github.com/slackapi/bolt-js/issues/2509
  if (JSON.stringify(blocks).length > 13_000) return 'msg_blocks_too_long'
  const ids = blocks.map((block) => fields(block).block_id)
  if (new Set(ids.filter(Boolean)).size !== ids.filter(Boolean).length) return 'invalid_blocks'
  return blocks.every(isBlock) ? undefined : 'invalid_blocks'
}

function isBlock(block: unknown): boolean {
  const { type, block_id: id = '', text, elements } = fields(block)
  if (typeof id !== 'string' || id.length > 255) return false
  if (type === 'section') return isText(text, 3_000)
  if (type !== 'actions' || !Array.isArray(elements) || elements.length < 1 || elements.length > 25)
    return false
  return elements.every((element) => {
    const { type: kind, action_id: action, value, text: label, style } = fields(element)
    return (
      kind === 'button' &&
      typeof action === 'string' &&
      action.length <= 255 &&
      typeof value === 'string' &&
      value.length <= 2_000 &&
      (style === 'primary' || style === 'danger') &&
      fields(label).type === 'plain_text' &&
      isText(label, 75)
    )
  })
}

function isText(value: unknown, max: number): boolean {
  const { type, text, emoji, verbatim } = fields(value)
  if (type === 'plain_text' && verbatim !== undefined) return false
  if (type === 'mrkdwn' && emoji !== undefined) return false
  const isKind = type === 'plain_text' || type === 'mrkdwn'
  return isKind && typeof text === 'string' && text.length >= 1 && text.length <= max
}

export function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
