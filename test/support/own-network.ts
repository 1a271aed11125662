import { spawnSync } from 'node:child_process'

/** Loopback up, with packets of a usual size (a reader's window opens by whole packets), and the kernel told to hold no
 * more than 16 KB unsent, and at a reader that does not read. */
const PREPARE = `set -e
ip link set lo mtu 1500 up || ifconfig lo mtu 1500 up
echo 16384 > /proc/sys/net/ipv4/tcp_notsent_lowat
echo '4096 16384 6291456' > /proc/sys/net/ipv4/tcp_rmem`

/** @returns why `unshare -rn` cannot give a process such a network of its own, where it cannot */
export function whyNoNetwork(): string | undefined {
  return failure('unshare', ['-rn', 'sh', '-c', PREPARE])
}

/** In a process that has one. @returns why it cannot be made such, where it cannot */
export function prepareNetwork(): string | undefined {
  return failure('sh', ['-c', PREPARE])
}

function failure(file: string, args: readonly string[]): string | undefined {
  const { status, stderr, error } = spawnSync(file, args, { encoding: 'utf8' })
  return status === 0 ? undefined : (error?.message ?? stderr.trim())
}
