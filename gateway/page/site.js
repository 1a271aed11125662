// Who this is. The site that frames us is asked for a token; elsewhere a cookie may hold one, or the reader has one.

/** The site has so long to answer. */
const ANSWER_MS = 5_000

export const framed = parent !== window
let token = ''
/** What the server was sent last; undefined: nothing yet. */
let used
let answered = () => {}
let changed = () => {}
let wanted = () => {}

/** Tells of each new token, and where the reader alone can give one, that one is wanted. */
export function onToken(told) {
  ;({ changed, wanted } = told)
  // Only who may frame us is ever the parent.
  addEventListener('message', ({ source, data }) => {
    if (framed && source === parent && data?.type === 'live-comments:token') give(data.token)
  })
}

export function give(given) {
  if (given !== token) {
    token = given
    changed()
  }
  answered()
}

/** Gives the client a token. It asks again when the server has refused the last one, or wants one. */
export async function tokenSource() {
  if (token === used && !framed) wanted()
  else if (token === used) {
    parent.postMessage({ type: 'live-comments:token-wanted' }, '*')
    await new Promise(resolve => {
      answered = resolve
      setTimeout(resolve, ANSWER_MS)
    })
  }
  return (used = token) || undefined
}

/** What the token says, unverified: the server decides. */
export function claims() {
  try {
    const bytes = Uint8Array.from(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')), byte => byte.charCodeAt(0))
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return {}
  }
}
