import { z } from 'zod'
import { count, port } from '../variables.js'
import { readPair, TlsPairError, type TlsFiles } from './pair.js'

/** The TLS variables of a node with a public port. */
export const tlsVariables = {
  TLS_CERT_FILE: z.string().optional().describe('turns TLS on at the public port: PEM file with the certificate, then its intermediates; reread when it changes'),
  TLS_KEY_FILE: z.string().optional().describe('PEM file with that certificate\'s key, without a passphrase; reread when it changes'),
  TLS_HSTS_SECONDS: count(0).describe('time for which browsers must use https for this host (Strict-Transport-Security), s; 0: not sent'),
}

/** A gateway's alone, since nobody types the address of an edge. */
export const tlsRedirectVariables = {
  TLS_REDIRECT_PORT: port.optional().describe('port that redirects plain HTTP to PUBLIC_URL; unset: none'),
}

type Given = Readonly<Partial<Record<string, unknown>>>

/** Conflicts between these variables and PUBLIC_URL, and what is wrong with the files; one line each. */
export function tlsConflicts(given: Given): string[] {
  const { TLS_CERT_FILE: certificate, TLS_KEY_FILE: key, PUBLIC_URL: publicUrl, TLS_REDIRECT_PORT: redirectPort } = given
  if (typeof certificate !== 'string' || typeof key !== 'string') {
    const missing = certificate === undefined ? 'TLS_CERT_FILE' : 'TLS_KEY_FILE'
    return Object.keys({ ...tlsVariables, ...tlsRedirectVariables }).filter(name => given[name] !== undefined).map(name => `${name}: needs ${missing}`)
  }
  return [
    ...faults({ certificate, key }),
    ...(typeof publicUrl === 'string' && /^http:/i.test(publicUrl) ? ['PUBLIC_URL: must be an https URL if TLS_CERT_FILE is set'] : []),
    ...(publicUrl === undefined && redirectPort !== undefined ? ['TLS_REDIRECT_PORT: needs PUBLIC_URL, which it redirects to'] : []),
  ]
}

/** The configured files; undefined if TLS is off. */
export function tlsFiles({ TLS_CERT_FILE: certificate, TLS_KEY_FILE: key }: { readonly TLS_CERT_FILE?: string | undefined; readonly TLS_KEY_FILE?: string | undefined }): TlsFiles | undefined {
  return certificate === undefined || key === undefined ? undefined : { certificate, key }
}

function faults(files: TlsFiles): string[] {
  try {
    readPair(files)
    return []
  } catch (error) {
    if (!(error instanceof TlsPairError)) throw error
    return [error.message]
  }
}
