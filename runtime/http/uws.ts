import { createRequire } from 'node:module'
import type * as UWS from 'uWebSockets.js'
import { NoBinaryError, noBinary } from './no-binary.js'

/** Chooses uWebSockets.js's binary, by the running Node's version and never by trying: under Node 20 a `require` of the
 * second package would silently load the first one's binary. The library reads its header limit from the environment
 * when it loads; the default of 4 KB is too little for a token and a few cookies.
 * @throws NoBinaryError at import */
process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ??= '16384'

export const uws: typeof UWS = load()
// Removes the header `uWebSockets: 20` from answers; not in the library's types. Requests that it refuses by itself, such as
// unparsable ones, still get its name in the body; that is compiled in.
;(uws as unknown as { _cfg?: (word: string) => void })._cfg?.('silent')

function load(): typeof UWS {
  const major = Number(process.versions.node.split('.')[0])
  const name = major >= 24 ? 'uWebSockets.js-node24' : 'uWebSockets.js'
  try {
    return createRequire(import.meta.url)(name) as typeof UWS
  } catch (cause) {
    throw new NoBinaryError(noBinary({ node: process.versions.node, platform: process.platform, arch: process.arch, glibc: glibc() }), { cause })
  }
}

function glibc(): string | undefined {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
  return report?.header?.glibcVersionRuntime
}
