import { createHash, createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** The PEM files of a certificate and its key. */
export interface TlsFiles {
  readonly certificate: string
  readonly key: string
}

/** A certificate and key that can be used. */
export interface TlsPair {
  /** Of both files' contents. */
  readonly fingerprint: string
  /** When the first certificate of the chain expires, Unix ms. */
  readonly expiresAt: number
}

/** A certificate and key that cannot be used. Each line of the message begins with the variable at fault and names its file
 * and the rule; none quotes a file. */
export class TlsPairError extends Error {
  override readonly name = 'TlsPairError'
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/
const MIN_RSA_BITS = 2048
const CURVES: readonly unknown[] = ['prime256v1', 'secp384r1', 'secp521r1']

/** Reads both files and checks that they belong together and are of a kind that browsers and the HTTP server take. An
 * expired certificate is not an error: some clients, such as load balancers, do not care.
 * @throws TlsPairError */
export function readPair({ certificate, key }: TlsFiles): TlsPair {
  const faults: string[] = []
  const contents: Buffer[] = []
  const found = <T>(variable: string, path: string, parse: (pem: string) => T): T | undefined => {
    try {
      const content = readFileSync(path)
      contents.push(content)
      return parse(content.toString('latin1'))
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      faults.push(`${variable}: ${path} ${error instanceof TlsPairError ? message : `cannot be read: ${code}`}`)
      return undefined
    }
  }
  const chain = found('TLS_CERT_FILE', certificate, readChain)
  const privateKey = found('TLS_KEY_FILE', key, readKey)
  if (chain && privateKey && !chain[0]!.checkPrivateKey(privateKey)) faults.push(`TLS_KEY_FILE: ${key} is not the key of the first certificate in ${certificate}`)
  if (faults.length > 0 || !chain) throw new TlsPairError(faults.join('\n'))
  return { fingerprint: fingerprintOf(contents), expiresAt: Math.min(...chain.map(({ validTo }) => Date.parse(validTo))) }
}

/** @param contents of the certificate's file, then of the key's */
export function fingerprintOf(contents: readonly Buffer[]): string {
  const sum = createHash('sha256')
  for (const content of contents) sum.update(String(content.length)).update(content)
  return sum.digest('base64url')
}

function readChain(pem: string): X509Certificate[] {
  const blocks = pem.match(CERTIFICATE)
  if (!blocks) throw new TlsPairError('must hold a certificate in PEM form')
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block)
    } catch {
      throw new TlsPairError(`has an unreadable certificate, number ${index + 1}`)
    }
  })
}

function readKey(pem: string): KeyObject {
  if (!PRIVATE_KEY.test(pem)) throw new TlsPairError('must hold a private key in PEM form')
  if (pem.includes('ENCRYPTED')) throw new TlsPairError('is encrypted: it must have no passphrase')
  const key = parsedKey(pem)
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  const usable = (type === 'rsa' && (details?.modulusLength ?? 0) >= MIN_RSA_BITS) || (type === 'ec' && CURVES.includes(details?.namedCurve))
  if (!usable) throw new TlsPairError(`must hold an RSA key of at least ${MIN_RSA_BITS} bits, or an EC key on P-256, P-384 or P-521`)
  return key
}

function parsedKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new TlsPairError('has an unreadable private key')
  }
}
