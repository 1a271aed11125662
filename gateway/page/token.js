// Who this is. The site that frames us is asked for a token; else a cookie may hold one.

const framed = parent !== window
let token = ''

/** Calls back with each new token. Only who may frame us is ever the parent. */
export function onToken(tell) {
  addEventListener('message', ({ source, data }) => {
    if (!framed || source !== parent || data?.type !== 'live-comments:token' || data.token === token) return
    token = data.token
    tell()
  })
}

/** EventSource sends no headers. */
export const tokenQuery = () => token && `&access_token=${encodeURIComponent(token)}`

/** As `fetch`. A 401 asks for a token; `asked` where there is somebody to ask. */
export async function ask(url, init = {}) {
  const headers = token ? { ...init.headers, authorization: `Bearer ${token}` } : init.headers
  const response = await fetch(url, { ...init, headers })
  response.asked = framed && response.status === 401
  if (response.asked) parent.postMessage({ type: 'live-comments:token-wanted' }, '*')
  return response
}
