// Who this is. The site that frames us is asked for a token; elsewhere a cookie may hold one, or the reader has one.

const framed = parent !== window
let token = ''
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
  if (given === token) return
  token = given
  changed()
}

export const authorization = () => token && { authorization: `Bearer ${token}` }

/** EventSource sends no headers. */
export const tokenQuery = () => token && `&access_token=${encodeURIComponent(token)}`

/** A request was refused for want of a token. @returns whether the site has been asked for one */
export function unauthorized() {
  if (framed) parent.postMessage({ type: 'live-comments:token-wanted' }, '*')
  else wanted()
  return framed
}
