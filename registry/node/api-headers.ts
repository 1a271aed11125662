/** Of every answer on a public port: it is of the type it says, it is no page and nobody's frame, and no other site is
 * told an address of ours, which may hold a token. Pages have rules of their own instead. */
export const API_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
}
