import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TlsFiles } from '../../runtime/tls/pair.js'

export interface CertificateOptions {
  /** Its first name; it is one of 127.0.0.1 and localhost too. */
  readonly name?: string
  /** What openssl makes a key by. */
  readonly key?: readonly string[]
  /** For which it is valid from now. */
  readonly days?: number
}

export const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']

/** A fresh self-signed certificate and its key, in these files of a folder. */
export function makeCertificate(folder: string, { name = 'live.example.com', key = EC, days = 2 }: CertificateOptions = {}, files: TlsFiles = filesIn(folder)): TlsFiles {
  const names = `subjectAltName=DNS:${name},DNS:localhost,IP:127.0.0.1`
  execFileSync('openssl', ['req', '-x509', ...key, '-nodes', '-days', String(days), '-keyout', files.key, '-out', files.certificate, '-subj', `/CN=${name}`, '-addext', names], { stdio: 'ignore' })
  return files
}

export function filesIn(folder: string): TlsFiles {
  return { certificate: join(folder, 'fullchain.pem'), key: join(folder, 'privkey.pem') }
}

/** As `getPeerCertificate` names it. */
export function fingerprintOf({ certificate }: TlsFiles): string {
  return new X509Certificate(readFileSync(certificate)).fingerprint256
}
