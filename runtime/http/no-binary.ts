import { isCheckout } from '../root.js'

/** What decides which binary of the HTTP server runs. */
export interface Platform {
  /** Of Node, such as `24.3.0`. */
  readonly node: string
  readonly platform: string
  readonly arch: string
  /** Of a Linux that has it, such as `2.36`; musl has none. */
  readonly glibc: string | undefined
}

/** The HTTP server cannot be loaded. Its message is one line, with what to do about it. */
export class NoBinaryError extends Error {
  override readonly name = 'NoBinaryError'
}

const MAJORS = [20, 22, 23, 24, 26]
/** The binaries for Node 24 and later are built for this one. */
const NEWER_GLIBC = [2, 38] as const

/** Why uWebSockets.js does not load here, and what to do. */
export function noBinary({ node, platform, arch, glibc }: Platform, inCheckout = isCheckout): string {
  const major = Number(node.split('.')[0])
  if (!MAJORS.includes(major)) return `Node ${node} has no build of uWebSockets.js, the HTTP server: use Node ${MAJORS.slice(0, -1).join(', ')} or ${MAJORS.at(-1)}`
  if (platform === 'linux' && glibc === undefined) return 'uWebSockets.js, the HTTP server, needs glibc, and this system has musl: use Debian or Ubuntu'
  if (platform === 'linux' && major >= 24 && isOlder(glibc!, NEWER_GLIBC)) {
    return `uWebSockets.js, the HTTP server, needs glibc ${NEWER_GLIBC.join('.')} for Node ${major} (Debian 13, Ubuntu 24.04), and this system has ${glibc}: use Node 22`
  }
  return `uWebSockets.js, the HTTP server, is not installed for Node ${node} on ${platform} ${arch}: ${inCheckout ? 'run ./setup.sh, which installs for the Node that runs it' : 'install live-comments again, with this Node and with its optional packages'}`
}

function isOlder(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ours = 0, ourMinor = 0] = version.split('.').map(Number)
  return ours < major || (ours === major && ourMinor < minor)
}
