import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'

/** @returns why `unshare -rn` cannot give a process a network namespace of its own, where it cannot */
export function whyNoNetwork(): string | undefined {
  const { status, stderr, error } = spawnSync('unshare', ['-rn', 'true'], { encoding: 'utf8' })
  return status === 0 ? undefined : (error?.message ?? stderr.trim())
}

/** In such a process: loopback up, with packets of a usual size (a reader's window opens by whole packets), and the
 * kernel told to hold no more than 16 KB unsent, and at a reader that does not read. @returns why not, where it cannot be done */
export function prepareNetwork(): string | undefined {
  try {
    execFileSync('sh', ['-c', 'ip link set lo mtu 1500 up || ifconfig lo mtu 1500 up'], { stdio: 'pipe' })
    writeFileSync('/proc/sys/net/ipv4/tcp_notsent_lowat', '16384')
    writeFileSync('/proc/sys/net/ipv4/tcp_rmem', '4096 16384 6291456')
    return undefined
  } catch (error) {
    return String(error)
  }
}
