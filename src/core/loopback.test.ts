import { expect, it } from 'vitest'
import { isLoopback, isThisMachine } from './index.ts'

it.each(['127.0.0.1', '127.255.1.2', '::1', '::ffff:127.0.0.1'])(
  '%s never leaves this machine',
  (address) => {
    expect(isLoopback(address)).toBe(true)
    expect(isThisMachine(address)).toBe(true)
  },
)

it.each(['127.example.com', '10.127.0.1', '0.0.0.0', '::', 'fe80::1', '', '1270.0.0.1'])(
  '%j may',
  (address) => {
    expect(isLoopback(address)).toBe(false)
    expect(isThisMachine(address)).toBe(false)
  },
)

it.each(['localhost', '/run/postgresql'])('%s is this machine', (host) => {
  expect(isThisMachine(host)).toBe(true)
})
