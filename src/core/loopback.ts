const IPV4_LOOPBACK = /^(?:::ffff:)?127(?:\.\d{1,3}){3}$/

/** Whether an address, as a socket shows it, never leaves this machine. RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3. */
export function isLoopback(address: string): boolean {
  return address === '::1' || IPV4_LOOPBACK.test(address)
}

/** Whether a host, as people write it, is this machine; a path is the directory of a Unix socket. */
export function isThisMachine(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || isLoopback(host)
}
