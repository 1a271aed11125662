import { isErrorCode, LiveError } from '../../protocol/errors.js'
import { PeerError } from './peer-error.js'

/** The error that the answer of a part of ours names; undefined where it names none. */
export function errorIn(error: PeerError): LiveError | undefined {
  try {
    const { error: said } = JSON.parse(String(error.body)) as { readonly error: { readonly code: string; readonly message: string } }
    return isErrorCode(said.code) ? new LiveError(said.code, said.message, { cause: error }) : undefined
  } catch {
    return undefined
  }
}

/** A dispatcher's answer that the video's home, another cluster, cannot be reached. That is no failure of the dispatcher, from which
 * nobody backs off for it. @returns undefined for any other error */
export function homeError(error: unknown): LiveError | undefined {
  const said = error instanceof PeerError && error.status === 503 ? errorIn(error) : undefined
  return said?.code === 'HOME_UNAVAILABLE' ? said : undefined
}
