import { InvalidArgumentError } from 'commander'

/** Parses a number above 0. */
export function positive(text: string): number {
  if (!/^[0-9]+(\.[0-9]+)?$/.test(text) || Number(text) <= 0) throw new InvalidArgumentError('It must be a number above 0.')
  return Number(text)
}

/** Parses a whole number, 1 or more. */
export function count(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text) || Number(text) < 1) throw new InvalidArgumentError('It must be a whole number, 1 or more, of at most nine digits.')
  return Number(text)
}

/** Parses a whole number, 0 or more. */
export function countOrNone(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number, 0 or more, of at most nine digits.')
  return Number(text)
}

/** Checks a comma-separated list of some of `names`. */
export function someOf(names: readonly string[]): (text: string) => string {
  return text => {
    const unknown = text.split(',').filter(name => !names.includes(name))
    if (unknown.length > 0) throw new InvalidArgumentError(`Not one of ${names.join(', ')}: ${unknown.join(', ')}.`)
    return text
  }
}

/** Checks the part that viewers connect to. */
export function part(text: string): string {
  if (text !== 'edge' && text !== 'gateway') throw new InvalidArgumentError('It must be edge or gateway.')
  return text
}
