import type { Detector } from './detector.ts'
import { matchesOf } from './detector.ts'

/** A JSON Web Token in compact form (RFC 7519, RFC 7516): its head is JSON, so that it begins with the base64 of `{"`. */
export const JWT: Detector = {
  name: 'jwt',
  find: (text) => matchesOf(text, /(?<![\w-])eyJ[\w-]{10,}\.[\w-]{2,}(?:\.[\w-]*){1,3}/g, 'eyJ'),
  rest: /[\w.-]*/y,
}

/** A private key in PEM (RFC 7468, RFC 1421): to its end line, or as far as it may be one. */
export const PRIVATE_KEY: Detector = {
  name: 'private-key',
  find: (text) =>
    matchesOf(
      text,
      /-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----[\w+/=:,.\s\\()-]*/g,
      'PRIVATE KEY',
    ),
  rest: /[\w+/=:,.\s\\()-]*/y,
}

/**
 * Tokens whose vendors gave them a beginning by which they are known: GitHub, GitLab, AWS access keys, Google, Slack,
 * Stripe, npm, PyPI, OpenAI, Anthropic, SendGrid, DigitalOcean, Hugging Face, and those of this gateway.
 */
export const VENDOR_TOKEN: Detector = {
  name: 'vendor-token',
  find: (text) => matchesOf(text, VENDORS, ''),
  rest: /[\w.-]*/y,
}

const VENDORS = new RegExp(
  `(?<![A-Za-z0-9])(?:${[
    'gh[pousr]_[A-Za-z0-9]{36,255}',
    'github_pat_\\w{22,255}',
    'glpat-[\\w-]{20,255}',
    '(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])',
    'AIza[\\w-]{35}',
    'ya29\\.[\\w-]{20,}',
    'xox[abeprs]-[\\w-]{10,255}',
    'xapp-[\\w-]{10,255}',
    '(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,255}',
    'whsec_[\\w+/=]{16,255}',
    'npm_[A-Za-z0-9]{36}',
    'pypi-[\\w-]{16,}',
    'sk-(?:proj-|ant-|svcacct-)?[\\w-]{20,}',
    'SG\\.[\\w-]{16,}\\.[\\w-]{16,}',
    'do[opr]_v1_[a-f0-9]{64}',
    'hf_[A-Za-z0-9]{30,}',
    'slu_[a-z]_[\\w-]{20,}',
  ].join('|')})`,
  'g',
)
